declare module '*.css';

/** Given to webviews by VS Code; may be called once. */
declare function acquireVsCodeApi(): { postMessage(message: unknown): void };
