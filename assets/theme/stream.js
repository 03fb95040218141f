/* No answer is lost between two streams. Gradio's server ends the page's stream when nothing is on its way, and its page believes
   that word even when it has asked something in the same moment (6.31): that answer would wait for the next question, a click would
   do nothing. Here the word is kept back while an answer is still owed, and the stream is taken up again. */
(() => {
  "use strict";
  const ask = window.fetch.bind(window);
  const owed = new Set(), early = new Set(); // early: answered before the page knew the number of its question
  let asking = 0, wake = () => {};

  const join = (input, options) => {
    asking += 1;
    const asked = ask(input, options);
    asked.then((answer) => answer.clone().json()).then(({ event_id: id }) => {
      if (id && !early.delete(id)) owed.add(id);
    }).catch(() => { /* a refusal owes nothing */ }).finally(() => { asking -= 1; wake(); });
    return asked;
  };
  const owes = async () => { // one question that hangs holds up no other's answer
    while (asking && !owed.size) await new Promise((go) => { wake = go; });
    return owed.size > 0;
  };

  /* hands on what comes, message by message; the word to close is given back and not handed on */
  const pass = async (answer, out) => {
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    const encoder = new TextEncoder();
    let rest = "", close = null;
    for (let { value, done } = await reader.read(); !done; { value, done } = await reader.read()) {
      const messages = (rest + value).split("\n\n");
      rest = messages.pop();
      messages.forEach((message) => {
        if (heard(message) === "close_stream") close = message;
        else out.enqueue(encoder.encode(message + "\n\n"));
      });
    }
    return close && encoder.encode(close + "\n\n");
  };
  const heard = (message) => {
    let told = {};
    try { told = JSON.parse(message.slice(message.indexOf("{"))); } catch { /* a comment */ }
    if (told.msg === "process_completed" && !owed.delete(told.event_id)) early.add(told.event_id);
    return told.msg;
  };

  const follow = async (input, options) => {
    // once the word to close has come, the page hangs up; the server takes that for someone leaving and forgets what was just asked
    const line = new AbortController();
    const leave = () => line.abort();
    options?.signal?.addEventListener("abort", leave);
    const open = () => ask(input, { ...options, signal: line.signal });
    const first = await open();
    if (!first.ok || !first.body) return first;
    const start = async (out) => {
      try {
        let close = null;
        for (let answer = first; answer; answer = close && (await owes()) ? await open() : null) close = await pass(answer, out);
        options?.signal?.removeEventListener("abort", leave);
        if (close) out.enqueue(close);
        out.close();
      } catch (error) { out.error(error); }
    };
    return new Response(new ReadableStream({ start(out) { start(out); }, cancel: leave }), { status: first.status, headers: first.headers });
  };

  window.fetch = (input, options) => {
    const address = String(input?.url || input);
    if (address.includes("/queue/join")) return join(input, options);
    if (address.includes("/queue/data")) return follow(input, options);
    return ask(input, options);
  };
})();
