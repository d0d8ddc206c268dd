// A canvas to draw a digit on, by pointer or keyboard, and the picture of it as the model knows digits: light on dark,
// cut to what was drawn, 8×8.

const SIDE = 8;
const PEN = 22;
const STEP = 12;

/**
 * Calls `onDrawn` with a PNG blob, or null once cleared, each time that the drawing changed. `marker` shows those who draw
 * with the keyboard where the pen is.
 */
export function makeDrawing({ canvas, clearButton, marker, onDrawn }) {
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.lineCap = 'round';
  context.lineJoin = 'round';
  context.lineWidth = PEN;
  context.strokeStyle = '#fff';
  let pen = { x: canvas.width / 2, y: canvas.height / 2 };
  let down = false;
  // A picture that is ready after the drawing changed again is of no use.
  let version = 0;

  const lineTo = (to) => {
    context.beginPath();
    context.moveTo(pen.x, pen.y);
    context.lineTo(to.x, to.y);
    context.stroke();
    pen = to;
    const mine = ++version;
    shrink(context).then((blob) => mine === version && onDrawn(blob));
  };
  const clear = () => {
    version++;
    context.clearRect(0, 0, canvas.width, canvas.height);
    down = false;
    onDrawn(null);
  };

  const position = ({ offsetX, offsetY }) => ({
    x: (offsetX * canvas.width) / canvas.clientWidth,
    y: (offsetY * canvas.height) / canvas.clientHeight,
  });
  canvas.addEventListener('pointerdown', (event) => {
    canvas.setPointerCapture(event.pointerId);
    pen = position(event);
    down = true;
    lineTo(pen);
  });
  canvas.addEventListener('pointermove', (event) => {
    if (down && event.buttons) lineTo(position(event));
  });
  canvas.addEventListener('pointerup', () => {
    down = false;
  });

  const mark = (shown) => {
    marker.hidden = !shown;
    marker.classList.toggle('down', down);
    marker.style.left = `${(100 * pen.x) / canvas.width}%`;
    marker.style.top = `${(100 * pen.y) / canvas.height}%`;
  };
  canvas.addEventListener('pointerdown', () => mark(false));
  canvas.addEventListener('blur', () => mark(false));

  const moves = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
  canvas.addEventListener('keydown', (event) => {
    const move = moves[event.key];
    if (move) {
      const inside = (value) => Math.min(Math.max(value, PEN / 2), canvas.width - PEN / 2);
      const to = { x: inside(pen.x + move[0]), y: inside(pen.y + move[1]) };
      if (down) lineTo(to);
      pen = to;
    } else if (event.key === ' ') {
      down = !down;
      if (down) lineTo(pen);
    } else if (event.key === 'Delete') {
      clear();
    } else return;
    mark(true);
    event.preventDefault();
  });
  clearButton.addEventListener('click', clear);
}

/** The drawing in the middle of a square that it fills, averaged down to 8×8; null where there is none. */
async function shrink(context) {
  const { width, height } = context.canvas;
  const { data } = context.getImageData(0, 0, width, height);
  const light = (x, y) => (x < 0 || y < 0 || x >= width || y >= height ? 0 : data[4 * (y * width + x) + 3]);
  const box = bounds(light, width, height);
  if (!box) return null;
  const small = new OffscreenCanvas(SIDE, SIDE);
  const smallContext = small.getContext('2d');
  const image = smallContext.createImageData(SIDE, SIDE);
  const cell = box.side / SIDE;
  for (let row = 0; row < SIDE; row++) {
    for (let column = 0; column < SIDE; column++) {
      const value = average(light, box.left + column * cell, box.top + row * cell, cell);
      image.data.set([value, value, value, 255], 4 * (row * SIDE + column));
    }
  }
  smallContext.putImageData(image, 0, 0);
  return small.convertToBlob({ type: 'image/png' });
}

function bounds(light, width, height) {
  let [left, right, top, bottom] = [width, -1, height, -1];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (light(x, y) === 0) continue;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
    }
  }
  if (right < 0) return null;
  const side = Math.max(right - left, bottom - top) + 1;
  return { side, left: (left + right + 1 - side) / 2, top: (top + bottom + 1 - side) / 2 };
}

function average(light, left, top, size) {
  let sum = 0;
  let count = 0;
  for (let y = Math.round(top); y < Math.round(top + size); y++) {
    for (let x = Math.round(left); x < Math.round(left + size); x++) {
      sum += light(x, y);
      count++;
    }
  }
  return count ? sum / count : light(Math.round(left), Math.round(top));
}
