// Runs before the first paint, so that a remembered theme does not flash the other one. No module: modules are deferred.
try {
  const theme = localStorage.getItem("relay.theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be forbidden; the system's theme holds then.
}
