"use strict";

{
  const form = document.getElementById("form");
  const message = document.getElementById("message");
  const button = form.querySelector("button");
  const password = document.getElementById("password");
  const visible = document.getElementById("visible");
  const token = new URLSearchParams(location.hash.slice(1)).get("token");

  const say = (text, isError) => {
    message.textContent = text;
    message.classList.toggle("is-error", isError);
  };

  /** Sends the token, and the new password if the page has one. Returns the error, if any. */
  const send = async () => {
    const body = { token, ...(password && { new_password: password.value }) };
    const response = await fetch(form.dataset.operation, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    return response.ok ? null : response.json();
  };

  const finish = () => {
    // The token was used: it should not stay in the history of the browser.
    history.replaceState(null, "", location.pathname);
    form.hidden = true;
    say(form.dataset.done, false);
  };

  const fail = (problem) => {
    form.hidden = problem.code === "link_invalid";
    say(problem.errors ? problem.errors[0].message : problem.detail, true);
  };

  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    say("", false);
    try {
      const problem = await send();
      if (problem) {
        fail(problem);
      } else {
        finish();
      }
    } catch {
      say("The service cannot be reached. Try again in a moment.", true);
    } finally {
      button.disabled = false;
    }
  };

  form.addEventListener("submit", submit);
  // Another link of the same page changes only the fragment.
  addEventListener("hashchange", () => location.reload());
  visible?.addEventListener("change", () => {
    password.type = visible.checked ? "text" : "password";
  });
  if (token) {
    form.hidden = false;
  } else {
    say("The link is incomplete. Copy all of it from the mail.", true);
  }
}
