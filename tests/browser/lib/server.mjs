// A static server for tests, on node:http, that can do what servers do to downloads: drop, stall, damage, ignore ranges,
// change the file in the middle. Every answer is counted.
import { createHash } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize, sep } from 'node:path';
import { gzipSync } from 'node:zlib';

/** The strictest policy that the package promises to work under: no inline code, no eval, no blob: workers. */
export const STRICT_CSP = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self'",
  "connect-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "font-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
  '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.txt': 'text/plain; charset=utf-8',
};
const SLICE = 64 * 1024; // bytes written at once: how exactly a drop or a rate is kept
const REPORTS = '/csp-reports';

/**
 * What a server does to answers for one path. Every field may be left out; several faults of a path act together.
 * @typedef {object} Fault
 * @property {number} [times]           answers that it acts on; default: all
 * @property {number} [dropAfter]       the connection is cut after so many bytes of the answer's body
 * @property {number} [dropAt]          the connection is cut where the file's byte of this offset would come
 * @property {number} [stallAfter]      nothing more comes after so many bytes; the connection stays open
 * @property {number} [stallAt]         the same, by the file's offset
 * @property {number} [corruptAt]       the file's byte of this offset is another one
 * @property {boolean} [ignoreRange]    the whole file comes, with 200
 * @property {boolean} [gzip]           the whole file comes compressed, where the request accepts that (one with a Range does not)
 * @property {number} [status]          this status and no file
 * @property {number} [delay]           milliseconds before the headers
 * @property {number} [bytesPerSecond]  of each answer
 * @property {{ after: number, with: Buffer | string }} [change]  the file is another one after so many bytes in all
 */

/**
 * @typedef {object} Served      one answer, counted while it goes on
 * @property {string} method
 * @property {string} path
 * @property {string | undefined} range   the request's Range header
 * @property {number} status
 * @property {number} bytes      of the body, handed to the connection so far
 * @property {boolean} finished  the whole answer was sent
 * @property {import('node:http').IncomingHttpHeaders} headers  of the request
 */

/** The bytes of a file, from memory or from the disk, with what its validators are made of. */
function content(source, version) {
  if (typeof source === 'string') {
    const { size, mtimeMs } = statSync(source);
    return {
      size,
      etag: `"${createHash('sha1').update(`${source} ${size} ${mtimeMs} ${version}`).digest('hex').slice(0, 20)}"`,
      modified: new Date(mtimeMs),
      slice: async (from, to) => {
        const parts = [];
        for await (const part of createReadStream(source, { start: from, end: to - 1 })) parts.push(part);
        return Buffer.concat(parts);
      },
    };
  }
  const bytes = Buffer.from(source);
  return {
    size: bytes.length,
    etag: `"${createHash('sha1').update(bytes).digest('hex').slice(0, 20)}"`,
    modified: new Date(Date.UTC(2026, 0, 1) + version * 1000),
    slice: async (from, to) => bytes.subarray(from, to),
  };
}

/** [first, last + 1] of a Range header, null where there is none that is understood, 'unsatisfiable'. */
function rangeOf(header, size) {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return null;
  if (match[1] === '') return [Math.max(0, size - Number(match[2])), size];
  const first = Number(match[1]);
  const end = match[2] === '' ? size : Math.min(Number(match[2]) + 1, size);
  return first >= size || end <= first ? 'unsatisfiable' : [first, end];
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export class TestServer {
  #options;
  #http;
  #port = 0;
  #folders = [];
  #files = new Map();
  #faults = new Map();
  #version = 0;
  /** @type {Served[]} */
  requests = [];
  /** What the browser says of its content security policy: the bodies of its reports. */
  violations = [];

  /**
   * @param {object} options
   * @param {boolean} [options.isolated]  send COOP and COEP, so that there are threads
   * @param {string} [options.csp]        a content security policy for every answer (STRICT_CSP); reports are collected
   * @param {boolean} [options.cors]      let pages of other origins read
   * @param {Record<string, string>} [options.headers]  more headers for every answer
   * @param {number} [options.port]       default: any that is free
   */
  constructor(options = {}) {
    this.#options = options;
    this.#port = options.port ?? 0;
  }

  get origin() {
    return `http://localhost:${this.#port}`;
  }

  url(path) {
    return this.origin + path;
  }

  /** Serves a folder's files at a path that ends with a slash; index.html for the folder itself. */
  folder(at, folder) {
    this.#folders.push({ at, folder });
    return this;
  }

  /** Serves bytes, or a file of the disk, at a path. Again: the file has changed. */
  file(path, source, { validators = true } = {}) {
    this.#files.set(path, { ...content(source, ++this.#version), validators });
    return this;
  }

  remove(path) {
    this.#files.delete(path);
  }

  /** @param {string} path @param {...Fault} faults in the place of those that the path had; none: it is well again */
  fault(path, ...faults) {
    this.#faults.set(
      path,
      faults.map((fault) => ({ times: Infinity, ...fault })),
    );
    return this;
  }

  /** Answers for a path, or for all that a regular expression matches. */
  served(path) {
    return this.requests.filter((request) => (path instanceof RegExp ? path.test(request.path) : request.path === path));
  }

  /** Bytes of bodies that were sent for a path. */
  bytes(path) {
    return this.served(path).reduce((sum, request) => sum + request.bytes, 0);
  }

  forget() {
    this.requests = [];
    this.violations = [];
  }

  /** Changes the options for the answers from now on. */
  configure(options) {
    Object.assign(this.#options, options);
  }

  async open() {
    this.#http = createServer((request, response) => {
      this.#answer(request, response).catch((problem) => {
        if (!response.destroyed) response.destroy(problem);
      });
    });
    await new Promise((resolve, reject) => {
      this.#http.once('error', reject);
      this.#http.listen(this.#port, '127.0.0.1', resolve);
    });
    this.#port = this.#http.address().port;
    return this;
  }

  /** Ends every connection. open() comes back at the same address. */
  async close() {
    const http = this.#http;
    if (!http) return;
    this.#http = undefined;
    const closed = new Promise((resolve) => http.close(resolve));
    http.closeAllConnections();
    await closed;
  }

  #find(path) {
    const file = this.#files.get(path);
    if (file) return { file, name: path };
    for (const { at, folder } of this.#folders) {
      if (!path.startsWith(at)) continue;
      let name = join(folder, normalize(`/${path.slice(at.length)}`));
      if (name.endsWith(sep)) name += 'index.html';
      try {
        if (statSync(name).isFile()) return { file: { ...content(name, 0), validators: true }, name };
      } catch {
        // another folder may have it
      }
    }
    return null;
  }

  #commonHeaders() {
    const { isolated, csp, cors, headers } = this.#options;
    return {
      'Cache-Control': 'no-cache',
      ...(isolated && {
        'Cross-Origin-Opener-Policy': 'same-origin',
        'Cross-Origin-Embedder-Policy': 'require-corp',
        'Cross-Origin-Resource-Policy': 'same-origin',
      }),
      ...(csp && { 'Content-Security-Policy': `${csp}; report-uri ${REPORTS}` }),
      ...(cors && {
        'Access-Control-Allow-Origin': '*',
        'Access-Control-Allow-Headers': '*',
        'Access-Control-Expose-Headers': '*',
        'Cross-Origin-Resource-Policy': 'cross-origin',
      }),
      ...headers,
    };
  }

  async #answer(request, response) {
    const path = decodeURIComponent(new URL(request.url, 'http://localhost').pathname);
    if (path === REPORTS) {
      const parts = [];
      for await (const part of request) parts.push(part);
      this.violations.push(Buffer.concat(parts).toString());
      response.writeHead(204).end();
      return;
    }
    const served = {
      method: request.method,
      path,
      range: request.headers.range,
      status: 0,
      bytes: 0,
      finished: false,
      headers: request.headers,
    };
    this.requests.push(served);
    const head = (status, headers) => {
      served.status = status;
      response.writeHead(status, { ...this.#commonHeaders(), ...headers });
    };
    const refuse = (status) => {
      head(status, { 'Content-Type': 'text/plain' });
      response.end(`${status}\n`);
    };
    if (request.method === 'OPTIONS') return refuse(204);
    if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(405);

    const faults = (this.#faults.get(path) ?? []).filter((fault) => fault.times > 0);
    // The first fault that says something decides; it is used up only when it comes to act.
    const use = (name) => {
      const found = faults.find((one) => one[name] !== undefined);
      if (found) found.times--;
      return found?.[name];
    };
    const delay = use('delay');
    if (delay) await pause(delay);
    const status = use('status');
    if (status) return refuse(status);
    const found = this.#find(path);
    if (!found) return refuse(404);

    const { file } = found;
    const headers = {
      'Content-Type': TYPES[extname(found.name)] ?? 'application/octet-stream',
      ...(file.validators && { ETag: file.etag, 'Last-Modified': file.modified.toUTCString() }),
    };
    if (/\bgzip\b/.test(request.headers['accept-encoding'] ?? '') && use('gzip')) {
      const packed = gzipSync(await file.slice(0, file.size));
      head(200, { ...headers, 'Content-Encoding': 'gzip' });
      served.bytes = packed.length;
      response.end(request.method === 'HEAD' ? undefined : packed);
      served.finished = true;
      return;
    }
    if (file.validators && request.headers['if-none-match'] === file.etag) {
      head(304, headers);
      response.end();
      return;
    }
    const ignoreRange = use('ignoreRange');
    if (!ignoreRange) headers['Accept-Ranges'] = 'bytes';
    const condition = request.headers['if-range'];
    const unchanged = !condition || condition === file.etag || condition === file.modified.toUTCString();
    const range = ignoreRange || !unchanged ? null : rangeOf(request.headers.range, file.size);
    if (range === 'unsatisfiable') {
      head(416, { 'Content-Range': `bytes */${file.size}` });
      response.end();
      return;
    }
    const [first, end] = range ?? [0, file.size];
    head(range ? 206 : 200, {
      ...headers,
      'Content-Length': end - first,
      ...(range && { 'Content-Range': `bytes ${first}-${end - 1}/${file.size}` }),
    });
    if (request.method === 'HEAD') {
      response.end();
      return;
    }
    await this.#body(response, path, file, first, end, faults, served);
  }

  async #body(response, path, file, first, end, faults, served) {
    // Where this answer is cut or stops, as an offset of the file; the earliest counts.
    const limits = [];
    for (const one of faults) {
      if (one.dropAfter !== undefined) limits.push({ one, at: first + one.dropAfter, drop: true });
      if (one.dropAt !== undefined && one.dropAt >= first) limits.push({ one, at: one.dropAt, drop: true });
      if (one.stallAfter !== undefined) limits.push({ one, at: first + one.stallAfter, drop: false });
      if (one.stallAt !== undefined && one.stallAt >= first) limits.push({ one, at: one.stallAt, drop: false });
    }
    const limit = limits.filter(({ at }) => at < end).sort((a, b) => a.at - b.at)[0];
    if (limit) limit.one.times--;
    const stop = limit ? limit.at : end;
    const corrupt = faults.filter(({ corruptAt }) => corruptAt !== undefined && corruptAt >= first && corruptAt < stop);
    for (const one of corrupt) one.times--;
    const rate = faults.find((one) => one.bytesPerSecond)?.bytesPerSecond;
    const step = rate ? Math.min(SLICE, Math.max(1024, Math.floor(rate / 20))) : SLICE;
    const begun = performance.now();
    let gone = false;
    response.once('close', () => (gone = true));

    for (let at = first; at < stop && !gone;) {
      const next = Math.min(at + step, stop);
      let bytes = await file.slice(at, next);
      for (const { corruptAt } of corrupt) {
        if (corruptAt < at || corruptAt >= next) continue;
        bytes = Buffer.from(bytes);
        bytes[corruptAt - at] ^= 0x55;
      }
      if (gone) return;
      served.bytes += bytes.length;
      at = next;
      if (!response.write(bytes)) {
        await new Promise((resolve) => {
          const go = () => {
            response.off('drain', go).off('close', go);
            resolve();
          };
          response.on('drain', go).on('close', go);
        });
      }
      for (const one of faults) {
        if (!one.change || one.times <= 0 || this.bytes(path) < one.change.after) continue;
        one.times = 0;
        this.file(path, one.change.with);
      }
      if (rate) {
        const due = ((at - first) / rate) * 1000 - (performance.now() - begun);
        if (due > 0) await pause(due);
      }
    }
    if (gone) return;
    if (!limit) {
      response.end();
      served.finished = true;
    } else if (limit.drop) {
      // What was written is on its way before the connection ends.
      await pause(20);
      response.destroy();
    }
  }
}

/** An open server. `await using` or close() ends it. */
export async function startServer(options) {
  return await new TestServer(options).open();
}
