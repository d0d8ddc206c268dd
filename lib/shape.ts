/** Elements of a tensor of sizes that are known to be a shape; 1 for no sizes, a scalar's. */
export function shapeSize(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
