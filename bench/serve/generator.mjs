// The process that makes the load. What it took of the processor is told with every answer.

import { answerLines } from '../../dist/bench/answer-lines.js';
import { closedLoop, openLoop } from './load.mjs';

/** An inference request of one image of zeros in binary form, as bytes on the wire. */
function inferRequest({ model, name, datatype, shape }) {
  const itemSize = { FP32: 4, UINT8: 1 }[datatype];
  const tensor = Buffer.alloc(shape.reduce((product, size) => product * size, itemSize));
  const json = JSON.stringify({
    inputs: [{ name, datatype, shape, parameters: { binary_data_size: tensor.length } }],
    outputs: [{ name: 'logits', parameters: { binary_data: true } }],
  });
  const head = [
    `POST /v2/models/${model}/infer HTTP/1.1`,
    'Host: 127.0.0.1',
    'Content-Type: application/octet-stream',
    `Inference-Header-Content-Length: ${json.length}`,
    `Content-Length: ${json.length + tensor.length}`,
  ];
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n${json}`), tensor]);
}

async function withCpu(load, { input, ...options }) {
  const [before, started] = [process.cpuUsage(), performance.now()];
  const result = await load({ ...options, request: inferRequest(input) });
  const { user, system } = process.cpuUsage(before);
  return { ...result, generatorCores: (user + system) / 1000 / (performance.now() - started) };
}

const LOOPS = { closed: closedLoop, open: openLoop };
await answerLines(({ op, ...request }) => withCpu(LOOPS[op], request));
