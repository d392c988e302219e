// What Mermaid's parser wants of a browser. There is no DOM behind it: DOMPurify sees a document that it does not support and
// gives every text back as it is, and nothing can be drawn.
globalThis.window = globalThis;
globalThis.console = Object.fromEntries(
    ["log", "debug", "info", "warn", "error", "trace"].map((name) => [name, () => {}]),
);
globalThis.addEventListener = () => {};
globalThis.Element = class {};
globalThis.document = { nodeType: 9, implementation: {}, createElement: () => ({}), addEventListener() {}, querySelectorAll: () => [] };
// Every URL is one, and stays as it is written.
globalThis.URL = class {
    static canParse() {
        return true;
    }
    constructor(href) {
        this.href = String(href);
        this.protocol = this.href.split(":")[0] + ":";
        this.hostname = "";
    }
    toString() {
        return this.href;
    }
};

// Not for the browser but for QuickJS, which looks for `^(?:...)`, as every rule of the parser's lexer is, at each place of a text:
// here at its begin alone.
const match = RegExp.prototype[Symbol.match];
const anchored = new Map();
RegExp.prototype[Symbol.match] = function (text) {
    if (this.flags.replace("i", "") !== "" || !/^\^\(\?:/.test(this.source)) {
        return match.call(this, text);
    }
    const key = `${this.flags}${this.source}`;
    if (!anchored.has(key)) {
        anchored.set(key, new RegExp(this.source, `${this.flags}y`));
    }
    anchored.get(key).lastIndex = 0;
    return anchored.get(key).exec(text);
};
