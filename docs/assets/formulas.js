// Sets the formulas of a page with KaTeX, which is shipped with the site (assets/katex).
document.querySelectorAll(".arithmatex").forEach((element) => {
  const text = element.textContent.trim(); // \( ... \) or \[ ... \]
  const displayMode = text.startsWith("\\[");
  katex.render(text.slice(2, -2), element, { displayMode, throwOnError: false });
});
