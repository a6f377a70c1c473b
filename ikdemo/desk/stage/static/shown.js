// What a cell shows of a live view: a line while the view is on the stage, the view itself where there is no stage, else its picture.
import { keepKeys } from "./keys.js";
import { Live, WIDGET } from "./live.js";

const STILL = "text/html";
const LINES = {
  there: { words: "on the stage beside the notebook.", button: "Go to the stage" },
  away: { words: "another one has taken its place on the stage.", button: "Show it there again" },
  closed: { words: "the stage is closed.", button: "Open the stage" },
};

export function makeShown({ Panel, Widget }) {
  // A renderer of outputs: JupyterLab calls `renderModel` with each bundle of MIME types that a cell shows.
  return class Shown extends Panel {
    constructor(panel, common, stage) {
      super();
      this.addClass("ik-shown");
      this._panel = panel;
      this._common = common;
      this._stage = stage;
      this._live = null;
      this._what = "";
      keepKeys(this.node);
    }

    async renderModel(model) {
      this._letGo();
      this._model = model;
      const live = new Live(this._panel, this._common, model.data, () => {
        this._stage?.offer(live);
        this.draw();
      });
      live.shown = this;
      this._live = live;
      if (!this._common.getFactory(WIDGET)) await this.draw(); // nothing here draws widgets, or not yet
      await live.begin();
      await this.draw();
    }

    // Show what is right now; called again whenever the view or the stage has changed.
    async draw() {
      const live = this._live;
      if (this.isDisposed) return;
      const what = !live.alive ? "still" : !this._stage?.isOpen ? "live" : this._stage.holds(live) ? "there" : "away";
      if (what === this._what) return;
      this._what = what;
      for (const old of [...this.widgets]) old === live.widget ? (old.parent = null) : old.dispose();
      if (what === "still") {
        await this._drawStill();
      } else if (what === "live") {
        live.widget.show();
        this.addWidget(live.widget);
        if (this._stage?.isClosed) this.addWidget(this._line(LINES.closed));
      } else {
        this.addWidget(this._line(LINES[what]));
      }
    }

    dispose() {
      if (this.isDisposed) return;
      if (this._live?.widget?.parent === this) this._live.widget.parent = null;
      super.dispose();
      this._letGo();
    }

    // What is on the stage stays there when its cell is run again or cleared.
    _letGo() {
      if (this._live && !this._stage?.holds(this._live)) this._live.dispose();
      this._live = null;
      this._what = "";
    }

    async _drawStill() {
      const still = this._panel.content.rendermime.createRenderer(STILL);
      this.addWidget(still);
      await still.renderModel(this._model);
    }

    _line({ words, button }) {
      const line = new Widget();
      line.addClass("ik-line");
      const said = Object.assign(document.createElement("span"), { textContent: `${this._live.name}: ${words}` });
      const go = Object.assign(document.createElement("button"), { type: "button", textContent: button });
      go.addEventListener("click", () => this._stage.call(this._live));
      line.node.append(said, go);
      return line;
    }
  };
}
