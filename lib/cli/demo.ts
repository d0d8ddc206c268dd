import { endWhenStdoutCloses } from './closed-stdout.js';
import { demoDigits } from './demo/digits.js';
import { demoLayers } from './demo/layers.js';
import { stylesFor } from './text.js';

// `npm run demo`: what the package does, on files of the repository.

endWhenStdoutCloses();
const start = performance.now();
const style = stylesFor(process.stdout);

console.log(`\n${style('bold', 'Handwritten digits, by the ResNet-20 that the package ships')}`);
await demoDigits(style);
console.log(style('bold', 'A photograph in a ResNet-50 with random weights'));
await demoLayers(style);
console.log(`${((performance.now() - start) / 1000).toFixed(1)} s in all`);
