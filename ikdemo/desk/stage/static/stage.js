// The stage: one panel of JupyterLab beside the notebook. It shows the newest live view of the notebook that is in use.
import { Live, STAGE, WIDGET } from "./live.js";

const LEAST_WIDTH = 420; // pixels: a picture that is narrower cannot be read
const KEPT = "ikdemo-stage:"; // what is on the stage, by notebook, for a page that is loaded anew
const NOTES = {
  empty: "Here the group of your notebook appears, as soon as a cell shows one.",
  ended: "The kernel of this notebook has ended or begun anew. Run the first code cell again, and its group is back here.",
};

export function makeStage({ Panel, Widget }) {
  return class Stage extends Panel {
    constructor(shell, notebooks, common) {
      super();
      this.id = "ikdemo-stage";
      this.addClass("ik-stage");
      Object.assign(this.title, { label: "Stage", caption: "The live view of this notebook's group", closable: true });
      this.node.tabIndex = 0; // it scrolls
      this.node.setAttribute("role", "region");
      this.node.setAttribute("aria-label", "Stage");
      // Focus in here must not make the stage JupyterLab's current widget: its menus would leave the notebook and grey out.
      this.node.addEventListener("focus", (event) => event.stopImmediatePropagation(), true);
      this._shell = shell;
      this._notebooks = notebooks;
      this._common = common;
      this._lives = new Map(); // of each notebook, the view that is here
      this.isClosed = false; // by a learner
      this._wide = undefined; // whether the window had room for both when the stage got its place
      this._note = new Widget({ node: document.createElement("p") });
      this._note.addClass("ik-note");
      this.addWidget(this._note);
      notebooks.currentChanged.connect(this._look, this);
      shell.modeChanged.connect(this._tell, this);
      window.addEventListener("resize", () => requestAnimationFrame(() => this._refit())); // when the panels have their sizes
      this._look();
    }

    // Whether views are shown here: not after a learner has closed the stage, nor where JupyterLab shows one panel at a time.
    get isOpen() {
      return !this.isClosed && this._shell.mode === "multiple-document";
    }

    holds(live) {
      return this._lives.get(live.panel) === live;
    }

    // A notebook has been opened: its view may still be alive, though the page was loaded anew and its output was never saved.
    async receive(panel) {
      this.isClosed = false;
      panel.disposed.connect(() => this._forget(panel));
      await Promise.all([panel.context.ready, panel.sessionContext.ready]);
      const kept = sessionStorage.getItem(KEPT + panel.context.path);
      if (!kept || this._lives.has(panel)) return;
      const live = new Live(panel, this._common, JSON.parse(kept), () => this.offer(live));
      await live.begin();
    }

    // Show a view that has come alive, unless a newer one is here; note that one has ended.
    offer(live) {
      const before = this._lives.get(live.panel);
      const newer = before?.alive && (before.since > live.since || (before.since === live.since && !live.shown));
      if (!live.alive || newer) return this._look();
      this._put(live);
      if (this.isOpen) this._place(live.panel);
    }

    // Bring a view, or the one that is here, into sight and go to it: a button or the command asks for that.
    call(live) {
      this.isClosed = false;
      if (live) this._put(live);
      if (this._notebooks.currentWidget) this._place(this._notebooks.currentWidget);
      this._tell();
      this._shell.activateById(this.id);
      this.node.focus();
    }

    // Put the stage to the right of a panel, whatever it shows, and return it.
    lay(ref) {
      this.isClosed = false;
      this._shell.add(this, "main", { ref, mode: "split-right", activate: false });
      this._wide = true;
      this._tell();
      return this;
    }

    onCloseRequest(message) {
      this.isClosed = true;
      super.onCloseRequest(message);
      this._tell();
    }

    _tell() {
      this._look();
      for (const live of this._lives.values()) live.shown?.draw();
    }

    _put(live) {
      const before = this._lives.get(live.panel);
      this._lives.set(live.panel, live);
      const { [WIDGET]: widget, [STAGE]: stage, "text/plain": name } = live.data;
      sessionStorage.setItem(KEPT + live.panel.context.path, JSON.stringify({ [WIDGET]: widget, [STAGE]: stage, "text/plain": name }));
      if (before && before !== live) {
        if (before.widget) before.widget.parent = null;
        if (!before.shown || before.shown.isDisposed) before.dispose();
        else before.shown.draw();
      }
      this._look();
    }

    _forget(panel) {
      this._lives.get(panel)?.dispose();
      this._lives.delete(panel);
      this._look();
    }

    // Put the stage where there is room: where it was, else beside the notebook, or above everything in a narrow window.
    _place(panel) {
      if (this.isAttached && !this.isVisible) this._shell.activateById(this.id);
      const stays = this.isAttached && (this._wide !== undefined || this.node.clientWidth >= LEAST_WIDTH);
      if (this._wide === undefined) this._wide = isWide(panel);
      if (!stays) this._add(panel);
    }

    _add(panel) {
      const isBeside = ({ node }) => node.getBoundingClientRect().left >= panel.node.getBoundingClientRect().right;
      const others = [...this._shell.widgets("main")].filter((one) => one !== this && one.isVisible);
      const beside = others.find((one) => isBeside(one) && one.node.clientWidth >= LEAST_WIDTH);
      const split = this._wide ? { ref: panel.id, mode: "split-right" } : { ref: "no panel", mode: "split-top" };
      const place = beside ? { ref: beside.id, mode: "tab-after" } : split;
      this._shell.add(this, "main", { ...place, activate: false });
      if (beside) this._shell.activateById(this.id);
    }

    // Go above the notebook where the window has become too narrow for both, and beside it again where it has room.
    _refit() {
      const panel = this._notebooks.currentWidget;
      if (!this.isAttached || !panel || this._wide === undefined || isWide(panel) === this._wide) return;
      this._wide = !this._wide;
      this._add(panel);
    }

    _look() {
      const panel = this._notebooks.currentWidget;
      const live = this._lives.get(panel);
      this.title.label = live ? `Stage: ${panel.title.label.replace(/\.ipynb$/, "")}` : "Stage";
      for (const one of this._lives.values()) {
        if (!this.isOpen || !one.widget) continue;
        if (one.alive && one.widget.parent !== this) this.addWidget(one.widget);
        one.widget.setHidden(one !== live || !one.alive);
      }
      this._note.node.textContent = live ? NOTES.ended : NOTES.empty;
      this._note.setHidden(Boolean(live?.alive));
    }
  };
}

// Say whether there is room for a notebook and the stage side by side.
function isWide(panel) {
  return panel.parent.node.clientWidth >= 2 * LEAST_WIDTH;
}
