/** A class as Node's older modules have it: with new, without, and called on the instance of an old-style subclass. */
export interface Callable<T, A extends unknown[]> {
  new (...args: A): T;
  (...args: A): T;
  readonly prototype: T;
}

/** What `callable` makes a class of. */
export interface CallableParts<T extends object, A extends unknown[]> {
  readonly name: string;
  /** Its methods and its statics; never constructed itself. */
  readonly methods: { readonly prototype: T };
  /** What all instances share. */
  readonly shared: object;
  /** Sets the fields of a new instance; may answer another object that is to stand for it. */
  setup(self: T, ...args: A): object | undefined;
  /** Called with an instance that is not ours, as `net.Socket.call(this)` of a class that has Node's own behind it. True when it was taken care of. */
  foreign?(self: object, ...args: A): boolean;
}

/** Makes one. `util.inherits`, `class … extends`, `X.call(this)` and `X()` all work. */
export function callable<T extends object, A extends unknown[]>(parts: CallableParts<T, A>): Callable<T, A> {
  const { methods, setup, foreign } = parts;
  const make = function (this: unknown, ...args: A): unknown {
    // By its prototypes: a class may count others among its instances.
    if (Object.prototype.isPrototypeOf.call(make.prototype, this as object)) return setup(this as T, ...args);
    if (typeof this === 'object' && this !== null && foreign?.(this, ...args)) return undefined;
    return Reflect.construct(make, args);
  };
  Object.defineProperty(make, 'name', { value: parts.name });
  Object.setPrototypeOf(make, methods);
  make.prototype = Object.create(methods.prototype as object, {
    ...Object.getOwnPropertyDescriptors(parts.shared),
    constructor: { value: make, writable: true, configurable: true },
  });
  return make as unknown as Callable<T, A>;
}
