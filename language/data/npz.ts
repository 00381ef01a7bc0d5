/** Arrays of an .npz file, each opened when it is first asked for. */
import { didYouMean, WhittleError } from '../errors';
import { FileSource } from '../onnx/source';
import { openNpy, type StoredArray } from './npy';
import type { ArrayFile } from './sources';
import { openMember, readDirectory } from './zip';

export function openNpz(file: string): ArrayFile {
  const source = new FileSource(file);
  const members = readDirectory(source, file);
  const names = [...members.keys()].map((member) => member.replace(/\.npy$/, ''));
  const opened = new Map<string, StoredArray>();
  return {
    file,
    array(name) {
      const known = opened.get(name);
      if (known) return known;
      const member = members.get(`${name}.npy`) ?? members.get(name);
      if (!member)
        throw new WhittleError(`there is no array ${name}`, {
          where: file,
          hint: didYouMean(name, names) || `It holds ${names.join(', ') || 'nothing'}`,
        });
      const array = openNpy(openMember(source, member, file), name, file);
      opened.set(name, array);
      return array;
    },
  };
}
