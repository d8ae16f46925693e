using System.Reflection;
using Tessera.Tensors.Kernels;
using Tessera.Tensors.Kernels.Jit;

namespace Tessera.Tensors.Tests.Kernels;

public unsafe class AssembledCodeTests
{
    [Fact]
    public void A_field_of_the_arguments_lies_where_the_compiler_put_it()
    {
        var arguments = default(StoredProductDot.Arguments);
        var start = (byte*)&arguments;
        Verify(nameof(arguments.Weights), &arguments.Weights);
        Verify(nameof(arguments.RowBytes), &arguments.RowBytes);
        Verify(nameof(arguments.X), &arguments.X);
        Verify(nameof(arguments.Groups), &arguments.Groups);
        Verify(nameof(arguments.Y), &arguments.Y);
        Verify(nameof(arguments.RowY), &arguments.RowY);

        void Verify(string field, void* address) =>
            Assert.Equal((byte*)address - start, AssembledCode.Field<StoredProductDot.Arguments>(field).Displacement);
    }

    [Fact]
    public void A_field_that_is_not_there_is_refused() =>
        Assert.Throws<ArgumentException>(() => AssembledCode.Field<StoredProductDot.Arguments>("Bias"));

    [Fact]
    public void Every_field_that_assembled_code_reads_has_eight_bytes()
    {
        var arguments = typeof(AssembledCode).Assembly.GetTypes()
            .Where(type =>
                type.Namespace == typeof(AssembledCode).Namespace
                && type.IsValueType
                && type.Name is "Arguments" or nameof(AmxOperands) or nameof(Bf16DotOperands)
            )
            .ToArray();
        Assert.True(arguments.Length >= 5, string.Join(", ", arguments.Select(type => type.FullName)));
        foreach (var type in arguments)
            foreach (var field in type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic))
                Assert.True(
                    field.FieldType.IsPointer || field.FieldType == typeof(long) || field.FieldType == typeof(ulong)
                    || field.FieldType == typeof(nint) || field.FieldType == typeof(nuint),
                    $"{type.FullName}.{field.Name} is {field.FieldType}");
    }
}
