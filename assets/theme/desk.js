/* What a tab does between a click and its answer: one click is one job, what was sent shows at once, refusals stay beside their
   fields until something changes, and a chat follows its newest words until someone scrolls up. */
(() => {
  "use strict";
  const find = (id) => document.getElementById(id);
  const pane = (name) => find("pane-" + name);
  const nameOf = (element) => (element.closest(".pane")?.id || "").replace("pane-", "");
  const narrow = matchMedia("(max-width: 820px)"); // there the result stands above the form, out of sight
  const bottom = (box) => box.scrollHeight - box.scrollTop - box.clientHeight;

  /* ---- said to who cannot see it ---- */
  const say = (text) => { const live = find("live"); if (live && live.textContent !== text) live.textContent = text; };

  /* a job's phases are few and worth a word each; its steps are not */
  const bar = (element) => {
    let last = "";
    new MutationObserver(() => {
      const told = (element.querySelector(".phase, .bar.over") || element).textContent.trim();
      if (told !== last && element.offsetParent) say(told);
      last = told;
    }).observe(element, { childList: true, subtree: true, characterData: true });
  };

  /* ---- one click, one job: a double click is one click, a key held down one press ---- */
  const asks = (element) => element?.closest?.(".generate, [data-act='again'], [data-act='retry']");
  document.addEventListener("click", (event) => {
    const button = asks(event.target);
    if (!button) return;
    if (event.detail > 1) { event.preventDefault(); event.stopImmediatePropagation(); return; }
    if (button.matches(".generate")) sending(nameOf(button));
  }, true);
  document.addEventListener("keydown", (event) => {
    if (event.repeat && event.key === "Enter" && (event.ctrlKey || event.metaKey || asks(event.target))) {
      event.preventDefault();
      event.stopImmediatePropagation();
    }
  }, true);

  /* ---- what was sent shows at once ---- */
  const ANSWER_MS = 15000; // by then the server has answered or is away, which the masthead tells
  const sending = (name) => {
    const place = pane(name);
    if (!place) return;
    place.dataset.sending = "";
    say("Sent");
    setTimeout(() => { delete place.dataset.sending; }, ANSWER_MS);
    if (name === "text") { chat.sent(place.querySelector("#text-prompt textarea")?.value || ""); }
  };

  /* ---- what was typed or pasted is kept at once; Gradio's own draft takes its time, and a reload does not wait ---- */
  const SHELF = "atelier-typed-";
  const shelf = (name) => { try { return JSON.parse(localStorage.getItem(SHELF + name)) || {}; } catch { return {}; } };
  const keep = (name, words) => { try { localStorage.setItem(SHELF + name, JSON.stringify(words)); } catch { /* private mode */ } };
  const boxOf = (name, field) => find(`${name}-${field.replaceAll("_", "-")}`)?.querySelector("textarea");
  const recall = (name, draft) => {
    const remembered = { ...(draft || {}), ...shelf(name) };
    if (Object.keys(remembered).length) window.atelier.send(name, "restore", { draft: remembered });
  };
  const captured = (name, fields, values, byPerson) => {
    if (byPerson) changed(name, values);
    const draft = Object.fromEntries(fields.map((field, i) => [field, values[i]]));
    keep(name, Object.fromEntries(Object.entries(draft).filter(([field, value]) => typeof value === "string" && boxOf(name, field))));
    return draft;
  };

  /* ---- answers nobody waited for: a field that was changed since they were asked keeps what it has ---- */
  const same = (one, other) => JSON.stringify(one ?? "") === JSON.stringify(other ?? "");
  const put = (name, fields, late, now) => {
    const { values = {}, held = {} } = late || {};
    const kept = (field, i) => (held[field] || []).some((value) => same(value, boxOf(name, field)?.value ?? now[i]));
    const model = kept("model", fields.indexOf("model"));
    // numbers are a model's own, words are anybody's
    return fields.map((field, i) => (field in values && kept(field, i) && (model || boxOf(name, field)) ? values[field] : undefined));
  };

  document.addEventListener("input", (event) => {
    const name = event.target.matches?.(".inputs textarea") ? nameOf(event.target) : "";
    const id = event.target.closest?.(`[id^='${name}-']`)?.id;
    if (name && id) keep(name, { ...shelf(name), [id.slice(name.length + 1).replaceAll("-", "_")]: event.target.value });
  }, true);

  /* ---- a list is searched by typing: what stands there is selected, so that the first letter takes its place ---- */
  document.addEventListener("focusin", (event) => {
    if (event.target.matches?.(".pick input")) setTimeout(() => event.target.select(), 0);
  });

  /* ---- refusals ---- */
  const heard = new Map();
  const answers = (name, element) => {
    const options = { childList: true, subtree: true, attributes: true, attributeFilter: ["data-answer"] };
    new MutationObserver(() => answered(name, element)).observe(element, options);
  };
  const answered = (name, element) => {
    const answer = element.querySelector("[data-answer]");
    if (!answer || heard.get(element) === answer.dataset.answer) return;
    heard.set(element, answer.dataset.answer);
    answer.removeAttribute("hidden");
    const place = pane(name);
    delete place.dataset.sending;
    clear(place, element);
    const fields = JSON.parse(answer.dataset.fields || "{}");
    if (answer.textContent.trim()) { say(answer.textContent); chat.refused(name); }
    Object.entries(fields).forEach(([id, text]) => blame(place, id, text));
    if (answer.textContent.trim()) answer.scrollIntoView({ block: "nearest" });
    else if (narrow.matches && name !== "text") place.querySelector(".result")?.scrollIntoView({ block: "start" });
  };
  /* the field may lie in a folded part that is only drawn when it opens */
  const blame = (place, id, text, tries = 20) => {
    const field = find(id);
    if (!field || field.offsetParent === null) {
      const fold = place.querySelector(".advanced > button:not(.open), .advanced .label-wrap:not(.open)");
      if (fold) fold.click();
      if (tries) setTimeout(() => blame(place, id, text, tries - 1), 50);
      return;
    }
    field.classList.add("refused");
    const told = document.createElement("p");
    told.className = "field-error";
    told.id = id + "-error";
    told.textContent = text;
    field.append(told);
    const input = field.querySelector("input:not([type='range']), textarea, .cm-content");
    input?.setAttribute("aria-invalid", "true");
    input?.setAttribute("aria-describedby", told.id);
  };
  const clear = (place, kept) => {
    place.querySelectorAll(".field-error").forEach((told) => told.remove());
    place.querySelectorAll(".refused").forEach((field) => field.classList.remove("refused"));
    place.querySelectorAll("[aria-invalid='true']").forEach((input) => {
      input.removeAttribute("aria-invalid");
      input.removeAttribute("aria-describedby");
    });
    place.querySelectorAll(".answer-line").forEach((line) => {
      if (!kept?.contains(line) && !line.contains(kept)) line.querySelector("[data-answer]")?.setAttribute("hidden", "");
    });
  };
  /* Gradio tells of a change on its own clock, sometimes after the answer to what was changed: that is no change since */
  const last = new Map();
  const sent = (name, values) => { last.set(name, values.slice(1)); return values; };
  const changed = (name, values) => {
    const place = pane(name);
    if (place && !same(last.get(name), values)) clear(place, null);
  };

  /* ---- a chat that follows its newest words ---- */
  const chat = (() => {
    const NEAR = 48; // pixels from the end that still count as the end
    let following = true, last = 0;
    const box = () => find("chat")?.querySelector(".bubble-wrap");
    const jump = () => find("chat-jump");
    const show = () => { const button = jump(); if (button) button.hidden = following; };
    const follow = () => {
      const inside = box();
      if (!inside) return;
      if (following) inside.scrollTop = inside.scrollHeight;
      show();
    };
    const scrolled = (event) => {
      const inside = event.target;
      if (inside !== box()) return;
      // only a person moves it up; what is written moves it down
      if (bottom(inside) < NEAR) following = true;
      else if (inside.scrollTop < last) following = false;
      last = inside.scrollTop;
      show();
    };
    const toNewest = () => { following = true; follow(); };
    const waiting = () => find("chat")?.querySelector(".sent-message");
    const sent = (text) => {
      const inside = box() || find("chat");
      if (!text.trim() || !inside) return;
      waiting()?.remove();
      const bubble = document.createElement("div");
      bubble.className = "sent-message";
      bubble.textContent = text;
      inside.append(bubble);
      toNewest();
    };
    const arrived = () => {
      const bubble = waiting();
      const told = [...(find("chat")?.querySelectorAll(".message-row.user-row") || [])].pop();
      if (bubble && told && told.textContent.trim().startsWith(bubble.textContent.trim().slice(0, 40))) bubble.remove();
    };
    const refused = (name) => { if (name === "text") waiting()?.remove(); };
    const watch = () => {
      const place = find("chat");
      if (!place) return false;
      new MutationObserver(() => { arrived(); follow(); }).observe(place, { childList: true, subtree: true, characterData: true });
      new ResizeObserver(follow).observe(place);
      document.addEventListener("scroll", scrolled, true);
      jump()?.addEventListener("click", toNewest);
      return true;
    };
    return { watch, sent, refused, toNewest };
  })();
  const begin = () => {
    if (chat.watch()) return;
    const drawn = new MutationObserver(() => { if (chat.watch()) drawn.disconnect(); });
    drawn.observe(document.body, { childList: true, subtree: true });
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();

  Object.assign(window.atelier, { answers, bar, captured, put, recall, say, sent });
})();
