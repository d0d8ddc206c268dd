import { afterEach, expect, test, vi } from 'vitest';
import { chooseDevice } from '../../lib/runtime/devices.js';
import { type NativeDevice, native } from '../../lib/runtime/native.js';

const device = (id: string, reason = ''): NativeDevice => ({
  id,
  name: id,
  available: reason === '',
  isa: '',
  dtypes: ['float32'],
  reason,
});

const found = (...devices: NativeDevice[]) => vi.spyOn(native(), 'devices').mockResolvedValue(devices);

afterEach(() => void vi.restoreAllMocks());

test.each(['cuda', 'cuda:0', 'cuda:1'])(
  '%s where CUDA is missing: the error says what is missing',
  async (id) => {
    found(device('cpu'), device('cuda', 'the driver was not found'));
    await expect(chooseDevice(id)).rejects.toMatchObject({
      code: 'DEVICE_UNAVAILABLE',
      message: `The device "${id}" is not available: the driver was not found. Available here: cpu`,
    });
  },
);

test('a device that is not there, beside one that is: no reason is made up', async () => {
  found(device('cpu'), device('cuda:0'));
  await expect(chooseDevice('cuda:7')).rejects.toMatchObject({
    message: 'The device "cuda:7" is not available. Available here: cpu, cuda:0',
  });
});

test('"cuda" and "auto" take the first CUDA device that works', async () => {
  found(device('cpu'), device('cuda:0', 'lost'), device('cuda:1'));
  expect((await chooseDevice('cuda')).device.id).toBe('cuda:1');
  expect((await chooseDevice('auto')).device.id).toBe('cuda:1');
  await expect(chooseDevice('cuda:0')).rejects.toThrow(/"cuda:0" is not available: lost/);
});
