/** Arrays of an .npz file, each opened when it is first asked for. */
import { FileSource } from '../onnx/source';
import { arrayFile, type ArrayFile } from './arrays';
import { openNpy } from './npy';
import { openMember, readDirectory } from './zip';

export function openNpz(file: string): ArrayFile {
  const source = new FileSource(file);
  const members = readDirectory(source, file);
  const names = [...members.keys()].map((member) => member.replace(/\.npy$/, ''));
  return arrayFile(file, names, (name) => {
    const member = members.get(`${name}.npy`) ?? members.get(name);
    return member && openNpy(openMember(source, member, file), name, file);
  });
}
