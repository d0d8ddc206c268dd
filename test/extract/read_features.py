"""Reads a folder of features with numpy, pyarrow, DuckDB and safetensors, and prints what it found as JSON."""

import json
import sys

import duckdb
import numpy
import pyarrow
import pyarrow.parquet
import safetensors.numpy

folder, output = sys.argv[1:]
part = f"{folder}/part-00000"

mapped = numpy.load(f"{part}.{output}.npy", mmap_mode="r")
half = numpy.load(f"{part}.{output}.half.npy", mmap_mode="r")
table = pyarrow.parquet.read_table(f"{part}.parquet")
field = table.schema.field(output)
values = table.column(output).combine_chunks().flatten().to_numpy()
rows = duckdb.sql(
    f"SELECT typeof({output}), len({output}), list_sum({output}), key FROM '{part}.parquet'"
).fetchall()
tensors = safetensors.numpy.load_file(f"{part}.safetensors")

print(
    json.dumps(
        {
            "numpy": {
                "type": type(mapped).__name__,
                "dtype": str(mapped.dtype),
                "shape": mapped.shape,
                "values": mapped.ravel().tolist(),
                "half": {"dtype": str(half.dtype), "nearest": bool((half == mapped.astype("float16")).all())},
            },
            "pyarrow": {
                "type": str(field.type),
                "fixed": pyarrow.types.is_fixed_size_list(field.type),
                "size": field.type.list_size,
                "nulls": table.column(output).null_count,
                "keys": table.column("key").to_pylist(),
                "values": values.tolist(),
            },
            "duckdb": {
                "types": sorted({row[0] for row in rows}),
                "lengths": sorted({row[1] for row in rows}),
                "sums": [row[2] for row in rows],
                "keys": [row[3] for row in rows],
            },
            "safetensors": {
                name: {"dtype": str(tensor.dtype), "shape": tensor.shape, "values": tensor.ravel().tolist()}
                for name, tensor in tensors.items()
            },
        }
    )
)
