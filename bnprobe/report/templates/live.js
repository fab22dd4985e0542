"use strict";
/* Asks for the next version of the page for as long as the run goes on, and hands it to the page's own script. */
(async () => {
  const badge = document.getElementById("live");
  const say = (text) => { badge.textContent = text; };
  let version = Number(badge.dataset.version);
  let failures = 0;
  while (badge.dataset.ended !== "yes" && failures < 5) {
    try {
      const answer = await fetch(`page?after=${version}`, { cache: "no-store" });
      if (answer.status === 200) {
        version = Number(answer.headers.get("Bnprobe-Version"));
        const next = new DOMParser().parseFromString(await answer.text(), "text/html");
        const news = next.getElementById("live");
        document.dispatchEvent(new CustomEvent("bnprobe:renew", { detail: next }));
        badge.dataset.ended = news.dataset.ended;
        say(news.textContent);
      } else if (answer.status !== 204) throw new Error(answer.status);
      failures = 0;
    } catch {
      failures += 1;
      say("live · no answer");
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
  if (badge.dataset.ended !== "yes") say("no longer live: bnprobe has ended");
})();
