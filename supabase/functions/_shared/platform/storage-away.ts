/** Storage did not answer, or not as itself: whoever comes again later may find it there. */
export class StorageAway extends Error {
  override readonly name = "StorageAway";
}
