import { describeMachine } from './machine.js';
import type { Provenance } from './results.js';
import { ownVersion } from './versions.js';

/** What a benchmark that begins now, by this command, writes of itself. */
export async function provenanceOf(command: string): Promise<Provenance> {
  return {
    date: new Date().toISOString(),
    command,
    versions: { 'resnet-native': ownVersion(), node: process.version },
    machine: await describeMachine(),
  };
}
