// Before anything is drawn: the theme that was chosen for these pages, where the browser keeps it.
try {
  const theme = localStorage.getItem("workbench-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
} catch {
  // Storage is not allowed here: the theme is the system's.
}
