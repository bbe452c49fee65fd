//! XMRig 6.x, and the simulated miner, which speaks the same API.
pub mod answers;
mod config;
mod lines;

use std::time::{Duration, Instant};

use super::{Adapter, Api, Launch, Plan, StartProblem, ask};
use crate::bus::Note;
use crate::model::stats::MinerSample;

/// XMRig answers within milliseconds, even while it builds a data set.
const PATIENCE: Duration = Duration::from_secs(2);

pub struct Xmrig {
    pub simulated: bool,
}

impl Adapter for Xmrig {
    fn launch(&self, launch: &Launch<'_>) -> Result<Plan, StartProblem> {
        config::plan(launch, self.simulated)
    }

    fn poll(&self, api: &Api, deadline: Instant) -> Result<MinerSample, String> {
        let mut sample = answers::summary(&get(api, "/2/summary", deadline)?, &api.instance)?;
        // Threads and devices are an extra: without them the reading is still one.
        if let Ok(backends) = get(api, "/2/backends", deadline) {
            answers::backends(&backends, &mut sample);
        }
        Ok(sample)
    }

    fn note(&self, line: &str) -> Option<Note> {
        lines::note(line)
    }

    fn exit_reason(
        &self,
        code: Option<i32>,
        signal: Option<i32>,
        last: &[String],
    ) -> (String, bool) {
        lines::exit_reason(code, signal, last)
    }
}

fn get(api: &Api, path: &str, deadline: Instant) -> Result<Vec<u8>, String> {
    let authorization = format!("Bearer {}", api.token);
    let deadline = deadline.min(Instant::now() + PATIENCE);
    ask::get(api, path, &[("Authorization", &authorization)], deadline)
}

#[cfg(test)]
mod tests {
    use super::{Adapter as _, Api, Instant, PATIENCE, Xmrig};
    use crate::sys::thread;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    /// What a poll makes of one answer on the API port.
    fn polled(answer: String) -> Result<crate::model::stats::MinerSample, String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn("test-api", move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                request.push(byte[0]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(request).unwrap()
        })
        .unwrap();
        let api = Api { port, token: "TOKEN".to_owned(), instance: "vm".to_owned() };
        let sample = Xmrig { simulated: false }.poll(&api, Instant::now() + PATIENCE);
        let request = server.join().unwrap();
        assert!(request.starts_with("GET /2/summary HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("\r\nAuthorization: Bearer TOKEN\r\n"), "{request}");
        sample
    }

    fn answer(status: u16, body: &str) -> String {
        let length = body.len();
        format!(
            "HTTP/1.1 {status} x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    }

    #[test]
    fn only_a_whole_answer_of_this_miner_is_a_reading() {
        let summary = include_str!("../../../../tests/fixtures/xmrig/summary-66s.json");
        // The summary alone: the port is closed when the back ends are asked for.
        assert_eq!(polled(answer(200, summary)).unwrap().hashrate.now, Some(680.74));
        let whole = answer(200, summary);
        assert!(polled(whole[..whole.len() - 100].to_owned()).is_err(), "the connection broke off");
        let cut = polled(answer(200, &summary[..1000])).unwrap_err();
        assert!(cut.contains("JSON that cannot be read"), "{cut}");
        for status in [401, 403] {
            let refused = polled(answer(status, "{}")).unwrap_err();
            assert!(refused.contains("another program may have its port"), "{refused}");
        }
        assert!(polled(answer(404, "{}")).unwrap_err().contains("404"));
        let other = summary.replace("\"vm\"", "\"other\"");
        assert!(polled(answer(200, &other)).unwrap_err().contains("another program"));
        assert!(polled("SSH-2.0-OpenSSH\r\n".to_owned()).is_err());
    }
}
