// Runs before the first paint, so that no page flashes in the wrong colours. The choice is this browser's alone.
const chosen = localStorage.getItem("theme");
if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
