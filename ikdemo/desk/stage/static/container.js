// Loads the stage into JupyterLab or Notebook 7. Written by hand as the container that they load, so that nothing has to be built:
// `init` is handed the modules that they share, `get` returns a maker of ours. Installed as share/jupyter/labextensions/ikdemo-stage.
"use strict";
(() => {
  const here = document.currentScript.src;
  let shared;

  async function load() {
    const module = async (name) => (await Object.values(shared[name])[0].get())();
    const look = Object.assign(document.createElement("link"), { rel: "stylesheet", href: new URL("stage.css", here) });
    document.head.append(look);
    const { makePlugin } = await import(new URL("plugin.js", here));
    const names = ["@lumino/widgets", "@jupyterlab/application", "@jupyterlab/notebook", "@jupyterlab/rendermime"];
    const plugins = makePlugin(...(await Promise.all(names.map(module))));
    return () => ({ __esModule: true, default: plugins });
  }

  window._JUPYTERLAB = window._JUPYTERLAB ?? {};
  window._JUPYTERLAB["ikdemo-stage"] = {
    init: (modules) => { shared = modules; },
    get: load,
  };
})();
