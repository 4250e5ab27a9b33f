// The JS-SDK as a sidebar page sees it: `window.wx`, answered by the client around the page.
(() => {
  "use strict";

  const here = new URL(document.currentScript.src);
  const home = here.href.slice(0, here.href.lastIndexOf("/"));
  const framed = window.parent !== window;
  const OPEN = ["getContext", "checkJsApi"];
  const waiting = new Map();
  let count = 0;
  let agentReady = false;
  let configState = null;
  const readyCalls = [];
  const errorCalls = [];

  window.addEventListener("message", (event) => {
    const answer = event.data;
    if (event.source !== window.parent || !answer || answer.sim !== "wx") return;
    const resolve = waiting.get(answer.id);
    waiting.delete(answer.id);
    if (resolve) resolve(answer.result);
  });

  const page = () => location.href.split("#")[0];

  function askClient(name, params) {
    if (!framed) return askServer(name, params);
    return new Promise((resolve) => {
      count += 1;
      waiting.set(count, resolve);
      window.parent.postMessage({ sim: "wx", id: count, name, params, url: page() }, here.origin);
    });
  }

  async function post(path, body) {
    // Sent as plain text so that a page of another origin needs no preflight.
    const response = await fetch(`${home}/bridge/${path}`, { method: "POST", credentials: "include", body: JSON.stringify(body) });
    return response.json();
  }

  // Without a client around it the page names its customer in the address.
  async function askServer(name, params) {
    const customer = new URLSearchParams(location.search).get("customer") || "";
    if (name === "config" || name === "agentConfig") return post("sign", { api: name, params, url: page() });
    if (name === "getContext") return { entry: customer ? "single_chat_tools" : "normal", err_msg: "getContext:ok" };
    if (name === "getCurExternalContact") {
      return customer ? { userId: customer, err_msg: "getCurExternalContact:ok" } : { err_msg: "getCurExternalContact:fail without context of external contact" };
    }
    if (name === "sendChatMessage") return post("send", { customer, params });
    return { err_msg: `${name}:fail not supported` };
  }

  function plain(params) {
    return JSON.parse(JSON.stringify(params || {}));
  }

  async function config(params) {
    configState = await askClient("config", plain(params));
    const calls = configState.errMsg === "config:ok" ? readyCalls : errorCalls;
    for (const callback of calls) callback(configState);
  }

  function ready(callback) {
    readyCalls.push(callback);
    if (configState?.errMsg === "config:ok") callback(configState);
  }

  function error(callback) {
    errorCalls.push(callback);
    if (configState && configState.errMsg !== "config:ok") callback(configState);
  }

  async function agentConfig(params) {
    const result = await askClient("agentConfig", plain(params));
    agentReady = result.errMsg === "agentConfig:ok";
    const callback = agentReady ? params.success : params.fail;
    if (callback) callback(result);
    if (params.complete) params.complete(result);
  }

  async function invoke(name, params, callback) {
    const result = agentReady || OPEN.includes(name) ? await askClient(name, plain(params)) : { err_msg: `${name}:fail no permission` };
    if (callback) callback(result);
  }

  window.wx = { config, ready, error, agentConfig, invoke };
})();
