/** The answers that a simulator keeps waiting. */
export class Pauses implements Disposable {
  readonly #ongoing = new Set<{ elapse(milliseconds: number): void }>();
  #isOver = false;

  /** Resolves when the time has passed, or been let pass, or the simulator ends. */
  async pause(milliseconds: number): Promise<void> {
    if (this.#isOver || milliseconds <= 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    let endsAt = Date.now() + milliseconds;
    let timer = setTimeout(resolve, milliseconds);
    const ongoing = {
      elapse(more: number) {
        endsAt -= more;
        clearTimeout(timer);
        const left = endsAt - Date.now();
        if (left > 0) timer = setTimeout(resolve, left);
        else resolve();
      },
    };
    this.#ongoing.add(ongoing);
    await promise;
    this.#ongoing.delete(ongoing);
  }

  /** Lets time pass for those that wait now. */
  elapse(milliseconds: number): void {
    for (const each of this.#ongoing) each.elapse(milliseconds);
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.elapse(Infinity);
  }
}
