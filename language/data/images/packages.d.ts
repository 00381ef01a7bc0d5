// What is used of packages whose own types need those of browsers.
declare module '@jsquash/jpeg/codec/dec/mozjpeg_dec.js' {
  const create: (module: object) => Promise<unknown>;
  export default create;
}
declare module '@jsquash/webp/codec/dec/webp_dec.js' {
  const create: (module: object) => Promise<unknown>;
  export default create;
}
