// A small front end on another origin than the service. It uses only the documented operations, bodies
// and headers.

const api = new URLSearchParams(location.search).get("api");
const place = (id) => document.getElementById(id);

/** Sends a request; returns the body, or throws an error with the detail of the problem. */
async function call(method, path, body, headers = {}) {
  const token = sessionStorage.getItem("token");
  const response = await fetch(api + path, {
    method,
    credentials: "include",
    headers: {
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
      ...headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (method !== "GET") {
    for (const cell of document.querySelectorAll("[data-header]")) {
      cell.textContent = response.headers.get(cell.dataset.header) ?? "";
    }
  }
  if (response.ok) {
    return response.status === 204 ? null : await response.json();
  }
  const problem = await response.json();
  if (response.status === 401) {
    sessionStorage.clear();
  }
  const fields = (problem.errors ?? []).map((error) => `${error.pointer}: ${error.message}`);
  throw new Error(fields.length > 0 ? fields.join(" ") : problem.detail);
}

/** Runs an action of the user, and displays its result or its error. */
async function attempt(action) {
  let message = "";
  try {
    await action();
  } catch (error) {
    message = error.message;
  }
  try {
    await show();
  } catch (error) {
    message ||= error.message;
    showDoor();
  }
  place("message").textContent = message;
}

function showDoor() {
  place("door").hidden = false;
  place("room").hidden = true;
}

async function show() {
  if (sessionStorage.getItem("token") === null) {
    showDoor();
    return;
  }
  const { tasks, total } = await call("GET", "/tasks");
  place("door").hidden = true;
  place("room").hidden = false;
  place("who").textContent = sessionStorage.getItem("email");
  place("total").textContent = total === 1 ? "1 task" : `${total} tasks`;
  place("tasks").replaceChildren(...tasks.map(row));
}

function row(task) {
  const item = place("task").content.firstElementChild.cloneNode(true);
  const checkbox = item.querySelector("input");
  item.classList.toggle("done", task.is_completed);
  item.querySelector(".title").textContent = task.title;
  checkbox.checked = task.is_completed;
  checkbox.onchange = () => attempt(() => change(task, { is_completed: checkbox.checked }));
  item.querySelector(".edit").onclick = () => edit(item, task);
  item.querySelector(".delete").onclick = () =>
    attempt(() => call("DELETE", `/tasks/${task.id}`));
  return item;
}

function edit(item, task) {
  const input = Object.assign(document.createElement("input"), { value: task.title });
  input.setAttribute("aria-label", "Title");
  const save = Object.assign(document.createElement("button"), { textContent: "Save" });
  save.onclick = () => attempt(() => change(task, { title: input.value }));
  item.replaceChildren(input, save);
  input.focus();
}

/** Changes the displayed version of a task, so that later changes are not overwritten. */
function change(task, fields) {
  return call("PUT", `/tasks/${task.id}`, fields, { "If-Match": `"${task.version}"` });
}

place("door").onsubmit = (event) => {
  event.preventDefault();
  const { email, password } = Object.fromEntries(new FormData(event.target));
  attempt(async () => {
    const answer = await call("POST", `/auth/${event.submitter.value}`, { email, password });
    sessionStorage.setItem("token", answer.access_token);
    sessionStorage.setItem("email", answer.user.email);
  });
};

place("new").onsubmit = (event) => {
  event.preventDefault();
  const { title } = Object.fromEntries(new FormData(event.target));
  attempt(async () => {
    await call("POST", "/tasks", { title });
    event.target.reset();
  });
};

place("logout").onclick = () =>
  attempt(async () => {
    await call("POST", "/auth/logout");
    sessionStorage.clear();
  });

await attempt(async () => {});
