import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  describeBasis,
  profileSchema,
  targetProfile,
  type SystolicProfile,
} from '../../../language/cost/profile';
import { loadTargets, resolveTarget } from '../../../language/cost/targets';
import { BUNDLED } from './subject';

const folder = mkdtempSync(path.join(tmpdir(), 'targets '));
afterAll(() => rmSync(folder, { recursive: true }));
const profile = (name: string, text: string): string => {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return file;
};

describe('bundled targets', () => {
  const targets = loadTargets(BUNDLED);

  it('are named by kind, say where they come from and how far they go', () => {
    const ids = targets.map(({ id }) => id);
    expect(ids).toEqual(
      expect.arrayContaining([
        ...['128x128', '16x16', '32x32'].flatMap((size) =>
          ['is', 'os', 'ws'].map((flow) => `asic.systolic-${size}-${flow}`),
        ),
        ...['zcu102', 'zcu104', 'kv260'].map((board) => `fpga.${board}-dpu`),
        ...['cpu', 'gpu', 'nnapi'].map((unit) => `mobile.pixel3-${unit}`),
        ...['galaxy-s24', 'galaxy-s25', 'qcs8550'].map((chip) => `mobile.${chip}-npu`),
        'mobile.generic-cpu',
        'mobile.generic-gpu',
        'reram.isaac',
      ]),
    );
    const named = ids.filter((id) => !/systolic|generic/.test(id));
    expect(named.length).toBeGreaterThanOrEqual(24);
    for (const target of targets) {
      expect(target.id.startsWith(`${target.kind}.`)).toBe(true);
      expect(target.sources.length).toBeGreaterThan(0);
      expect(describeBasis(target)).toMatch(
        /^(analytical, not validated|calibrated on .* held out: )/,
      );
    }
  });

  it('differ from what they extend in what they say', () => {
    const arrays = targets.filter((t): t is SystolicProfile => t.id.startsWith('asic.systolic'));
    for (const { id, array, dramGbPerS } of arrays) {
      const { rows, columns, dataflow } = array;
      expect(id).toBe(`asic.systolic-${rows}x${columns}-${dataflow}`);
      expect(dramGbPerS).toBe(12.8);
    }
    expect(new Set(arrays.map(({ title }) => title)).size).toBe(9);
  });

  it('have a schema that editors understand', () => {
    interface Option {
      readonly properties?: Readonly<Record<string, { readonly const?: string }>>;
      readonly oneOf?: readonly Option[];
    }
    const schema = z.toJSONSchema(targetProfile, { io: 'input' }) as Option;
    const options = schema.oneOf!.flatMap((option) => option.oneOf ?? [option]);
    expect(
      options.map(({ properties }) => [properties!.kind!.const, properties!.design?.const]),
    ).toEqual([
      ['mobile', undefined],
      ['host', undefined],
      ['fpga', 'overlay'],
      ['fpga', 'dataflow'],
      ['asic', 'systolic'],
      ['asic', 'blocked'],
      ['reram', undefined],
    ]);
  });
});

describe('the published schema', () => {
  it('is that of the code; whittle targets --schema writes it', () => {
    const file = path.join(import.meta.dirname, '../../../docs/target.schema.json');
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(
      JSON.parse(JSON.stringify(profileSchema())),
    );
  });
});

describe('finding a target', () => {
  it('takes an id or a path, and keeps what it has read', () => {
    expect(resolveTarget('reram.isaac', BUNDLED).kind).toBe('reram');
    const file = profile('own.target.yaml', 'extends: mobile.pixel3-cpu\ntitle: Mine\n');
    const found = resolveTarget('own.target.yaml', BUNDLED, folder);
    expect(found).toMatchObject({ id: file, title: 'Mine', kind: 'mobile' });
    expect(resolveTarget(file, BUNDLED)).toBe(found);
  });

  it('notices that a profile, or what it extends, was edited', () => {
    profile('base.target.yaml', 'extends: asic.systolic-32x32-ws\nleakageMw: 10\n');
    const file = profile('derived.target.yaml', 'extends: ./base.target.yaml\ntitle: Derived\n');
    expect(resolveTarget(file, BUNDLED)).toMatchObject({ leakageMw: 10 });
    profile('base.target.yaml', 'extends: asic.systolic-32x32-ws\nleakageMw: 12.5\n');
    expect(resolveTarget(file, BUNDLED)).toMatchObject({ leakageMw: 12.5, title: 'Derived' });
  });

  it('suggests near names', () => {
    expect(() => resolveTarget('mobile.pixel3-cpv', BUNDLED)).toThrow(
      /there is no target mobile\.pixel3-cpv\. Did you mean mobile\.pixel3-cpu/,
    );
    expect(() => resolveTarget('toaster', BUNDLED)).toThrow(
      /There are asic\.ethos-u55-128, .*reram\.isaac/,
    );
    expect(() => resolveTarget('./absent.target.yaml', BUNDLED, folder)).toThrow(
      'there is no target profile',
    );
  });

  it.each([
    [
      'a wrong value',
      'extends: asic.systolic-32x32-ws\narray:\n  rows: 32\n  clockMhz: -5\n',
      /array\.clockMhz: .*\(.*broken\.target\.yaml:4\)/,
    ],
    [
      'an unknown field',
      'extends: asic.systolic-32x32-ws\ntitle: A\nsramKb: 4\n',
      /Unrecognized key.*sramKb.*\(.*broken\.target\.yaml:\d\)/,
    ],
    [
      'a unit that the field does not have',
      'extends: asic.systolic-32x32-ws\narray:\n  clockGhz: 1\n',
      /clockGhz.* the unit is part of a field's name .*broken\.target\.yaml:\d\)\. Did you mean clockMhz\?/,
    ],
    [
      'a missing constant',
      'extends: mobile.pixel3-cpu\nprecisions:\n  fp16:\n    pointwiseGmacPerS: 40\n',
      /precisions\.fp16\.spatialGmacPerS: is missing: .*broken\.target\.yaml:\d\)\. Give it, or extend/,
    ],
    ['an unknown kind', 'kind: toaster\n', /kind: .*broken\.target\.yaml:1/],
    ['no mapping', '- 1\n- 2\n', /a profile is a list of fields .*broken\.target\.yaml:1/],
    ['broken YAML', 'title: "a\nkind: asic\n', /broken\.target\.yaml:\d/],
    ['an empty file', '', /a profile is a list of fields/],
    ['itself as its base', 'extends: ./broken.target.yaml\n', /extends itself/],
    [
      'an unknown base',
      'extends: asic.systolic-32x32-wx\n',
      /there is no target asic\.systolic-32x32-wx\. Did you mean/,
    ],
    [
      'no name as its base',
      'extends: 5\n',
      /extends: the name or the path of a profile is expected .*:1/,
    ],
  ])('says file, line and field of %s', (_, text, message) => {
    const file = profile('broken.target.yaml', text);
    expect(() => resolveTarget(file, BUNDLED)).toThrow(message);
    expect(() => resolveTarget(file, BUNDLED)).toThrow(
      expect.objectContaining({ name: 'WhittleError' }) as Error,
    );
  });
});
