//! The output of miners: a ring of lines each, shared by the thread that reads the pipe, the HTTP threads and the
//! link writers. Line text never passes through the registry of the node that has it.
