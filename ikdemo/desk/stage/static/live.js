// One live view of a notebook's kernel: the widget that draws it, and whether it lives. It is shown in its cell or on the stage.
import { mindKeys } from "./keys.js";

export const STAGE = "application/vnd.ikdemo.stage+json";
export const WIDGET = "application/vnd.jupyter.widget-view+json";
const DEAD = "jupyter-widgets-disconnected"; // what ipywidgets calls a view whose kernel is gone
const [TRIES, PAUSE] = [400, 25]; // milliseconds

// Wait until the widgets of a notebook can be drawn: first they get a renderer that knows no kernel, a little later another.
// Nobody tells when.
async function canDraw(panel, common) {
  await panel.sessionContext.ready;
  const { rendermime } = panel.content;
  for (let tries = 0; panel.sessionContext.session?.kernel && !panel.isDisposed && tries < TRIES; tries += 1) {
    const factory = rendermime.getFactory(WIDGET);
    if (factory && factory !== common.getFactory(WIDGET)) return true;
    await new Promise((done) => setTimeout(done, PAUSE));
  }
  return false;
}

export class Live {
  // `panel` is the notebook, `common` the renderers of all notebooks, `data` the output as a bundle of MIME types; `changed` is
  // called when the view comes alive or ends.
  constructor(panel, common, data, changed) {
    this.panel = panel;
    this._common = common;
    this.data = data;
    this.since = data[STAGE]?.since ?? 0;
    this.name = data["text/plain"] ?? "Live view";
    this.widget = null;
    this.alive = false;
    this._changed = changed;
    this._isDisposed = false;
    this._watcher = new MutationObserver(() => this._look());
  }

  // Draw the view, if the kernel knows it; one that it knows only later is drawn then.
  async begin() {
    if (!this.data[WIDGET] || !(await canDraw(this.panel, this._common)) || this._isDisposed) return;
    this.widget = this.panel.content.rendermime.createRenderer(WIDGET);
    mindKeys(this.widget.node);
    this._watcher.observe(this.widget.node, { childList: true });
    const data = { [WIDGET]: { ...this.data[WIDGET] } }; // a copy: the renderer writes into it when the view ends
    await this.widget.renderModel({ data, metadata: {}, trusted: true, setData: () => {} });
    this._look();
  }

  dispose() {
    this._isDisposed = true;
    this._watcher.disconnect();
    this._changed = () => {};
    this.alive = false;
    this.widget?.dispose();
  }

  _look() {
    const root = this.widget?.node.firstElementChild;
    if (root) this._watcher.observe(root, { attributes: true, attributeFilter: ["class"] });
    const alive = Boolean(root) && !root.classList.contains(DEAD);
    if (alive === this.alive) return;
    this.alive = alive;
    this._changed(this);
  }
}
