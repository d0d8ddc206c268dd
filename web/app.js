import { classify, models, NoAnswer, onToken } from './api.js';
import { barRows } from './bars.js';
import { startCharts } from './charts.js';
import { makeDrawing } from './drawing.js';

const find = (id) => document.getElementById(id);
const select = find('model');
let served = [];

const current = () => served.find(({ name }) => name === select.value);

async function showModels() {
  try {
    served = await models();
  } catch (error) {
    say(error.message, true);
    return;
  }
  select.replaceChildren(...served.map(({ name }) => new Option(name)));
  say('');
  showModel();
}

function showModel() {
  const model = current();
  if (!model) return;
  const digits = model.labels?.join('') === '0123456789';
  find('drawing').hidden = !digits;
  const facts = {
    Name: `${model.name}, version ${model.version}`,
    Device: [model.device, model.deviceReason].filter(Boolean).join(': '),
    'Computes in': model.dtype,
    Input: `resized to ${model.resizeSize}, cropped to ${model.cropSize}`,
    Outputs: model.outputs.join(', '),
    Classes: model.labels ? String(model.labels.length) : 'without names',
    'Largest batch': String(model.maxBatch),
  };
  find('about').replaceChildren(
    ...Object.entries(facts).flatMap(([name, value]) => [element('dt', name), element('dd', value)]),
  );
}

function element(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

function say(text, wrong = false) {
  find('status').textContent = text;
  find('status').classList.toggle('wrong', wrong);
}

/** Says so while the server is gone. Another one may serve other models. */
function heard(error) {
  const text = error instanceof NoAnswer ? error.message : '';
  const gone = find('gone');
  if (gone.textContent === text) return;
  gone.textContent = text;
  if (!text) showModels();
}

async function classifyFiles(files) {
  if (files.length === 0) return;
  say(`Classifying ${files.length === 1 ? files[0].name : `${files.length} images`} …`);
  try {
    const images = await classify(select.value, files, 5);
    find('results').prepend(...images.map((image, i) => resultItem(files[i], image)));
    const best = images[0].results?.[0];
    say(
      best && images.length === 1
        ? `${files[0].name}: ${nameOf(best)}`
        : `${images.length} images classified`,
    );
  } catch (error) {
    say(error.message, true);
  }
}

function nameOf({ label, index }) {
  return label ?? `class ${index}`;
}

function resultItem(file, { results, error }) {
  const item = document.createElement('li');
  const picture = document.createElement('img');
  picture.alt = '';
  picture.src = URL.createObjectURL(file);
  picture.addEventListener('load', () => URL.revokeObjectURL(picture.src), { once: true });
  const table = document.createElement('table');
  table.className = 'bars';
  table.append(element('caption', file.name));
  if (results) table.append(...barRows(results));
  else table.createCaption().append(element('p', error.message));
  item.append(picture, table);
  return item;
}

/** Only the newest drawing counts: answers to older ones may come after it. */
let drawn = 0;
async function classifyDrawing(blob) {
  const mine = ++drawn;
  const body = find('digits').tBodies[0];
  if (!blob) {
    body.replaceChildren();
    find('said').textContent = '';
    return;
  }
  try {
    const [{ results }] = await classify(select.value, [blob], 10);
    if (mine !== drawn) return;
    body.replaceChildren(...barRows([...results].sort((a, b) => a.index - b.index)));
    find('said').textContent = `It looks like ${nameOf(results[0])}`;
  } catch (error) {
    if (mine === drawn) find('said').textContent = error.message;
  }
}

const drop = find('drop');
for (const type of ['dragenter', 'dragover']) {
  document.addEventListener(type, (event) => {
    event.preventDefault();
    drop.classList.add('over');
  });
}
for (const type of ['dragleave', 'drop']) {
  document.addEventListener(type, (event) => {
    event.preventDefault();
    drop.classList.remove('over');
  });
}
document.addEventListener('drop', ({ dataTransfer }) => classifyFiles([...dataTransfer.files]));
document.addEventListener('paste', ({ clipboardData }) => classifyFiles([...clipboardData.files]));
find('files').addEventListener('change', ({ target }) => {
  classifyFiles([...target.files]);
  // The same file can then be chosen again.
  target.value = '';
});
select.addEventListener('change', showModel);
onToken(showModels);

makeDrawing({
  canvas: find('canvas'),
  clearButton: find('clear'),
  marker: find('pen'),
  onDrawn: classifyDrawing,
});
startCharts(find('charts'), () => select.value, heard);
showModels();
