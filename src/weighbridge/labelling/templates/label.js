// The page: one photo, one key. It is the same whether it is served or lies in a file.
const at = id => document.getElementById(id);
const photo = at("photo"), search = at("search"), classes = at("classes");
let state = store.state, shownAt = 0, busy = false, ready = false;

const letters = text => text.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
const matching = () => SETUP.classes.filter(name => letters(name).includes(letters(search.value)));

function listClasses() {
  classes.replaceChildren(...matching().map((name, k) => {
    const button = document.createElement("button"), key = document.createElement("kbd");
    if (k < 9) { key.textContent = k + 1; button.append(key, " "); }
    button.append(name);
    button.addEventListener("click", () => give(name));
    return button;
  }));
}

function show() {
  const finished = state.place >= state.photos;
  photo.hidden = finished;
  at("nothing").hidden = !finished;
  at("nothing").textContent = state.photos ? "All photos are labelled." : "There is nothing to label.";
  at("done").value = state.photos ? state.place / state.photos : 1;
  at("standing").textContent = state.sentence;
  at("stop").hidden = !state.settled || finished;
  ready = false;
  if (finished) return;
  photo.src = store.picture(state.place);
  if (state.place + 1 < state.photos) new Image().src = store.picture(state.place + 1);
}

photo.addEventListener("load", () => { ready = true; shownAt = performance.now(); });
photo.addEventListener("error", () => { ready = true; problem("This picture cannot be shown. Press space to pass over it."); });

function problem(words) {
  at("problem").hidden = !words;
  at("problem").textContent = words;
}

async function change(act) {
  if (busy) return;
  busy = true;
  try {
    state = await act();
    problem("");
    search.value = "";
    listClasses();
    show();
  } catch (error) {
    problem(`Not saved: ${error.message}`);
  }
  busy = false;
}

function give(label) { // a label is of the picture that is seen, so none is taken before it is there
  if (!ready || state.place >= state.photos) return;
  const seconds = (performance.now() - shownAt) / 1000;
  change(() => store.answer(state.place, label, seconds));
}
const undo = () => change(() => store.undo());

function press(key) {
  const found = matching();
  if (/^[1-9]$/.test(key)) { if (found[key - 1] !== undefined) give(found[key - 1]); }
  else if (key === "0") give(SETUP.none);
  else if (key === " " || key === ".") give("");
  else if (key === "-") undo();
  else if (key === "Backspace") { if (search.value) { search.value = search.value.slice(0, -1); listClasses(); } else undo(); }
  else if (key === "Escape") { search.value = ""; listClasses(); }
  else if (key === "Enter") { if (search.value && found.length) give(found[0]); }
  else if (!search.hidden && /^\p{L}$/u.test(key)) { search.value += key; listClasses(); }
  else return false;
  return true;
}

document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Enter" && event.target.tagName === "BUTTON" && !search.value) return; // whoever walks by Tab
  if (press(event.key)) event.preventDefault();
});
search.addEventListener("input", listClasses); // a keyboard on a screen
for (const button of document.querySelectorAll("#others [data-key]"))
  button.addEventListener("click", () => { search.value = ""; press(button.dataset.key); button.blur(); });

listClasses();
show();
