// The keyboard in a live view: a row of controls is one stop of the Tab key, and the arrow keys walk along it.
const CONTROLS = "button:not([disabled]), select:not([disabled]), input:not([disabled])";
const STEPS = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 };

// Keep what is typed inside `node` from the shortcuts of a notebook around it: `d d` there would delete a cell. The word must be
// on the very element that has the focus: JupyterLab looks at that one first.
export function keepKeys(node) {
  node.addEventListener("focusin", ({ target }) => { target.dataset.lmSuppressShortcuts = "true"; });
}

// Make toolbars of the rows inside `node`, also of those that come later.
export function mindKeys(node) {
  const dress = () => node.querySelectorAll(".ik-toolbar").forEach(dressOne);
  new MutationObserver(dress).observe(node, { childList: true, subtree: true });
  node.addEventListener("keydown", onKey);
  node.addEventListener("focusin", ({ target }) => {
    const bar = target.closest(".ik-toolbar");
    if (bar && target.matches(CONTROLS)) stopAt(bar, target);
  });
}

function dressOne(bar) {
  bar.setAttribute("role", "toolbar");
  bar.setAttribute("aria-label", bar.querySelector("b")?.textContent ?? "Controls");
  const all = [...bar.querySelectorAll(CONTROLS)];
  if (all.length && all.filter((one) => one.tabIndex === 0).length !== 1) {
    stopAt(bar, all.find((one) => one === document.activeElement) ?? all[0]);
  }
}

function stopAt(bar, chosen) {
  for (const one of bar.querySelectorAll("button, select, input")) one.tabIndex = one === chosen ? 0 : -1;
}

function onKey(event) {
  const bar = event.target.closest(".ik-toolbar");
  if (!bar || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
  const all = [...bar.querySelectorAll(CONTROLS)];
  const at = all.indexOf(event.target);
  const upDown = event.key === "ArrowUp" || event.key === "ArrowDown";
  if (at < 0 || (upDown && event.target.matches("select"))) return; // a list is walked up and down by its own keys
  const ends = { Home: 0, End: all.length - 1 };
  const to = event.key in ends ? ends[event.key] : event.key in STEPS ? (at + STEPS[event.key] + all.length) % all.length : -1;
  if (to < 0) return;
  event.preventDefault();
  all[to].focus();
}
