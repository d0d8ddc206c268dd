import { afterEach, expect, test, vi } from 'vitest';
import { chooseDevices } from '../../lib/runtime/devices.js';
import { type NativeDevice, native } from '../../lib/runtime/native.js';

const device = (id: string, reason = ''): NativeDevice => ({
  id,
  name: id,
  available: reason === '',
  isa: '',
  dtypes: ['float32'],
  reason,
  lost: reason === 'lost',
});

const found = (...devices: NativeDevice[]) => vi.spyOn(native(), 'devices').mockResolvedValue(devices);

afterEach(() => void vi.restoreAllMocks());

test.each(['cuda', 'cuda:0', 'cuda:1'])(
  '%s where CUDA is missing: the error says what is missing',
  async (id) => {
    found(device('cpu'), device('cuda', 'the driver was not found'));
    await expect(chooseDevices(id)).rejects.toMatchObject({
      code: 'DEVICE_UNAVAILABLE',
      message: `The device "${id}" is not available: the driver was not found. Available here: cpu`,
    });
  },
);

test('a device that is not there, beside one that is: no reason is made up', async () => {
  found(device('cpu'), device('cuda:0'));
  await expect(chooseDevices('cuda:7')).rejects.toMatchObject({
    message: 'The device "cuda:7" is not available. Available here: cpu, cuda:0',
  });
});

test('"cuda" and "auto" take the first CUDA device that works', async () => {
  found(device('cpu'), device('cuda:0', 'lost'), device('cuda:1'));
  expect((await chooseDevices('cuda')).devices[0].id).toBe('cuda:1');
  expect((await chooseDevices('auto')).devices[0].id).toBe('cuda:1');
  await expect(chooseDevices('cuda:0')).rejects.toMatchObject({
    code: 'DEVICE_LOST',
    message: expect.stringMatching(/"cuda:0" is not available: lost/),
  });
});

test('several GPUs are taken by name', async () => {
  found(device('cpu'), device('cuda:0'), device('cuda:1'));
  const { devices } = await chooseDevices(['cuda:1', 'cuda:0']);
  expect(devices.map(({ id }) => id)).toEqual(['cuda:1', 'cuda:0']);
  await expect(chooseDevices(['cuda:0', 'cuda:2'])).rejects.toMatchObject({ code: 'DEVICE_UNAVAILABLE' });
  for (const wrong of [[], ['cuda:0', 'cuda:0'], ['cpu'], ['cuda'], [0]]) {
    await expect(chooseDevices(wrong)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  }
});

test('the CPU is had without looking for CUDA', async () => {
  const asked = found(device('cpu'));
  await chooseDevices('cpu');
  expect(asked).toHaveBeenCalledExactlyOnceWith('cpu');
});
