/* The page's own script: one pane at a time, keys, theme, buttons with data-act, uploads, words that light up.
   It holds no state worth keeping; what a button asks goes to its tab's Python handler through a bridge. */
(() => {
  "use strict";
  const bridges = {};
  const waiting = {};
  const find = (id) => document.getElementById(id);
  const tab = () => document.body.dataset.tab || "image";

  const connect = (name, bridge, asks) => {
    const trigger = (event, data) => {
      if (asks.includes(event)) bridge(event, data);
      else console.error(`The tab ${name} knows no “${event}”: add it to ASKS in frame.py.`);
    };
    bridges[name] = trigger;
    (waiting[name] || []).forEach(([event, data]) => trigger(event, data));
    delete waiting[name];
  };
  const send = (name, event, data) => {
    if (bridges[name]) bridges[name](event, data);
    else (waiting[name] = waiting[name] || []).push([event, data]);
  };

  /* ---- panes ---- */
  const { panes: PANES, things: THINGS } = JSON.parse(document.currentScript.dataset.told);
  const remembered = () => { try { return localStorage.getItem("atelier-tab"); } catch { return null; } };
  const wanted = () => [location.hash.slice(1), remembered(), "image"].find((name) => PANES.includes(name));
  const show = (name) => {
    document.body.dataset.tab = name;
    try { localStorage.setItem("atelier-tab", name); } catch { /* private mode */ }
    document.querySelectorAll("[data-nav]").forEach((item) => {
      if (item.dataset.nav === name) item.setAttribute("aria-current", "page");
      else item.removeAttribute("aria-current");
    });
    send(name, "refresh", {});
  };
  const go = (name) => {
    if (location.hash.slice(1) !== name) history.pushState(null, "", "#" + name);
    show(name);
    window.scrollTo(0, 0);
  };
  window.addEventListener("popstate", () => show(wanted()));
  window.addEventListener("hashchange", () => show(wanted()));

  /* ---- light and dark: the system's, until someone chooses ---- */
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => { try { return localStorage.getItem("atelier-theme"); } catch { return null; } };
  const paint = () => {
    const asked = new URLSearchParams(location.search).get("__theme");
    const look = chosen() || asked || document.documentElement.dataset.theme;
    const dark = look === "dark" || (look !== "light" && system.matches);
    document.body.classList.toggle("dark", dark);
    document.documentElement.style.colorScheme = dark ? "dark" : "light";
    document.querySelectorAll("[data-toggle-theme]").forEach((item) =>
      item.setAttribute("aria-label", dark ? "Switch to light" : "Switch to dark"));
  };
  system.addEventListener("change", paint);
  const toggleTheme = () => {
    const next = document.body.classList.contains("dark") ? "light" : "dark";
    try { localStorage.setItem("atelier-theme", next); } catch { /* private mode */ }
    paint();
  };

  /* ---- what buttons ask ---- */
  const read = (text) => { try { return JSON.parse(text); } catch { return text; } };
  const asked = (element) =>
    Object.fromEntries(Object.entries(element.dataset).map(([key, value]) => [key, key === "fill" ? read(value) : value]));
  const paneOf = (element) => (element.closest(".pane")?.id || "").replace("pane-", "") || tab();

  const ACTS = {
    go: (data) => go(data.tab),
    send: (data) => { go(data.to); send(data.to, "fill", { fill: data.fill, whole: data.whole === "true" }); },
    open: (data) => { go("library"); send("library", "open", { asset: data.asset }); },
    zoom: (data, element) => zoom(element),
    save: (data) => save(data.file, data.text),
    copy: (data, element) => copy(data.text, element),
  };
  const act = (element) => {
    const data = asked(element);
    if (ACTS[data.act]) ACTS[data.act](data, element);
    else send(paneOf(element), data.act, data);
  };
  document.addEventListener("click", (event) => {
    const nav = event.target.closest("[data-nav]");
    if (nav) { event.preventDefault(); go(nav.dataset.nav); return; }
    if (event.target.closest("[data-toggle-theme]")) { toggleTheme(); return; }
    const word = event.target.closest(".word[data-at]");
    if (word) { jump(word); return; }
    const element = event.target.closest("[data-act]");
    if (element && !["INPUT", "SELECT"].includes(element.tagName)) act(element);
  });
  document.addEventListener("change", (event) => {
    const element = event.target.closest("input[data-act]");
    if (element) send(paneOf(element), element.dataset.act, { ...asked(element), value: element.value });
  });

  /* ---- what is pasted, dropped, deleted or composed ----
     Gradio's text boxes tell of a change at a key press only (6.31): drafts, forecasts and hints would miss the rest. */
  let pressed = false;
  document.addEventListener("keypress", (event) => {
    if (!event.isTrusted) return;
    pressed = true;
    setTimeout(() => { pressed = false; });
  }, true);
  document.addEventListener("input", (event) => {
    if (!pressed && event.target.matches?.("[data-testid=textbox]"))
      event.target.dispatchEvent(new KeyboardEvent("keypress", { key: "Unidentified", bubbles: true }));
  });

  /* ---- keys ---- */
  const visible = (element) => element && element.offsetParent !== null;
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "Enter") {
      const button = find("generate-" + tab());
      if (button) {
        event.preventDefault();
        event.stopPropagation();
        // a box commits what was typed on its own clock; leave it and come back so that nothing is missed
        const held = document.activeElement;
        held?.blur?.();
        setTimeout(() => { button.click(); held?.focus?.({ preventScroll: true }); }, 30);
      }
    } else if (event.key === "Escape") {
      const open = document.querySelector("dialog[open]");
      if (open) return;
      const stop = find("pane-" + tab())?.querySelector("[data-act='cancel']");
      if (visible(stop)) { event.preventDefault(); stop.click(); }
    } else if ((event.key === "Enter" || event.key === " ") && event.target.matches?.("img[data-act]")) {
      event.preventDefault();
      act(event.target);
    }
  }, true);

  /* ---- pictures large ---- */
  const zoom = (image) => {
    const dialog = document.createElement("dialog");
    dialog.className = "lightbox";
    const large = document.createElement("img");
    large.src = image.src;
    large.alt = image.alt;
    dialog.append(large);
    dialog.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  };

  /* ---- files ---- */
  const tell = (text) => {
    const note = document.createElement("div");
    note.className = "toast";
    note.setAttribute("role", "alert");
    note.textContent = text;
    document.body.append(note);
    setTimeout(() => note.remove(), 7000);
  };
  const post = async (address, file) => {
    const body = new FormData();
    body.append("file", file, file.name);
    const answer = await fetch(address, { method: "POST", body });
    const told = await answer.json().catch(() => ({}));
    if (answer.ok) return told;
    const error = told.error || told;
    tell([error.message || "The file could not be read.", error.detail, error.hint].filter(Boolean).join(" "));
    return null;
  };
  const fits = (asset, kind) => {
    if (!kind || asset.kind === kind) return true;
    tell(`${asset.title} is ${asset.kind}, and this field takes ${THINGS[kind]}. Choose another file.`);
    return false;
  };
  // kind: what the file has to be, where that matters; its id, or nothing after telling why not
  const upload = async (file, kind) => {
    const asset = await post("api/uploads", file);
    return asset && fits(asset, kind) ? asset.id : undefined;
  };
  const isKind = async (id, kind) => {
    const answer = await fetch(`api/assets/${id}`);
    return answer.ok && fits(await answer.json(), kind);
  };
  const restore = async (file) => {
    const told = await post("page/recipe", file);
    if (!told) return;
    go(told.modality);
    send(told.modality, "fill", { fill: told.recipe, whole: true });
  };
  const save = (name, text) => {
    const anchor = document.createElement("a");
    anchor.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
    anchor.download = name;
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(anchor.href), 1000);
  };
  const copy = async (text, element) => {
    await navigator.clipboard.writeText(text);
    const before = element.textContent;
    element.textContent = "Copied";
    setTimeout(() => { element.textContent = before; }, 1200);
  };

  let dragging = 0;
  const dragEnded = () => { dragging = 0; document.body.classList.remove("dragging"); };
  const carriesFile = (event) => [...(event.dataTransfer?.types || [])].includes("Files");
  document.addEventListener("dragstart", (event) => {
    const id = event.target.dataset?.asset;
    if (id) event.dataTransfer.setData("text/x-asset", id);
  });
  document.addEventListener("dragenter", (event) => {
    if (carriesFile(event)) { dragging += 1; document.body.classList.add("dragging"); }
  });
  document.addEventListener("dragleave", () => { dragging -= 1; if (dragging <= 0) dragEnded(); });
  document.addEventListener("dragover", (event) => { if (carriesFile(event)) event.preventDefault(); });
  document.addEventListener("drop", (event) => {
    if (!carriesFile(event) || event.defaultPrevented) { dragEnded(); return; }
    event.preventDefault();
    dragEnded();
    restore(event.dataTransfer.files[0]);
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches?.("input[type=file][data-restore]")) restore(event.target.files[0]);
  });

  /* ---- words light up as they are spoken ---- */
  document.addEventListener("timeupdate", (event) => {
    const words = event.target.closest?.(".player")?.querySelectorAll(".word[data-at]");
    if (!words?.length) return;
    const now = event.target.currentTime + 0.05;
    let current = null;
    words.forEach((word) => { if (Number(word.dataset.at) <= now) current = word; });
    words.forEach((word) => word.classList.toggle("now", word === current && !event.target.ended));
    const script = current?.closest(".script");
    if (script) { // a long script scrolls inside its own box; the page stays where it is
      const below = current.offsetTop - script.offsetTop;
      if (below < script.scrollTop || below > script.scrollTop + script.clientHeight - 60) script.scrollTop = below - script.clientHeight / 3;
    }
  }, true);
  const jump = (word) => {
    const audio = word.closest(".player")?.querySelector("audio");
    if (audio) { audio.currentTime = Number(word.dataset.at); audio.play(); }
  };

  /* ---- what moves by itself ---- */
  // memory and downloads tell when they move (queue.js); only how long ago something was ages by itself, once a minute
  setInterval(() => { if (tab() === "models" && !document.hidden && bridges.models) send("models", "look", {}); }, 60000);

  const settled = (name) => { if (name === tab()) send(name, "plan", {}); };

  window.atelier = { connect, send, go, tab, tell, acts: ACTS, settled, upload, isKind, restore, dragEnded };
  const begin = () => { paint(); show(wanted()); };
  // Gradio draws the navigation after this script has run: mark the current tab once it is there
  const drawn = new MutationObserver(() => {
    if (document.querySelector("[data-nav]")) { drawn.disconnect(); paint(); show(wanted()); }
  });
  const start = () => { begin(); drawn.observe(document.body, { childList: true, subtree: true }); };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
