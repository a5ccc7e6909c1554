// Answers stay in this browser until they are saved as a CSV.
const kept = `weighbridge ${SETUP.key}`;
let answers = [];
try { answers = JSON.parse(localStorage.getItem(kept)) || []; } catch { /* a browser that keeps nothing */ }

function now() {
  try { localStorage.setItem(kept, JSON.stringify(answers)); } catch { /* the CSV is what counts */ }
  return {place: answers.length, photos: SETUP.pictures.length, ...standing(SETUP, answers.map(answer => answer.label))};
}
const store = {
  state: now(),
  picture: place => SETUP.pictures[place],
  answer: async (place, label, seconds) => { answers.push({label, seconds}); return now(); },
  undo: async () => { answers.pop(); return now(); },
};

const cell = text => /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
function csv() {
  const rows = answers.map((answer, k) => [SETUP.files[k], answer.label, answer.seconds.toFixed(1), SETUP.asked]);
  return [["file", "label", "seconds", "asked"], ...rows].map(row => row.map(cell).join(",") + "\n").join("");
}
function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv()], {type: "text/csv"}));
  link.download = "labels.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
document.getElementById("save").addEventListener("click", save);
document.addEventListener("keydown", event => {
  if ((event.ctrlKey || event.metaKey) && event.key === "s") { event.preventDefault(); save(); }
});
