namespace Tessera.Tensors.Tests.Ops;

public class CrossEntropyPrecisionTests
{
    [Theory]
    [InlineData(Precision.F16, 2e-3)]
    [InlineData(Precision.BF16, 2e-2)]
    public void Small_probabilities_of_many_classes_do_not_vanish(Precision precision, double tolerance)
    {
        // 2000 targets among 3000 classes: an average gradient of a logit is 1.7e-7, most are below what F16 holds.
        const int Rows = 2000, Classes = 3000, Width = 32;
        var expected = Gradient(Precision.F32);
        var found = Gradient(precision);
        var largest = expected.Max(MathF.Abs);
        var error = expected.Zip(found).Max(pair => Math.Abs(pair.First - pair.Second)) / largest;
        Assert.True(error < tolerance, $"{error} of the largest gradient");

        static float[] Gradient(Precision precision)
        {
            using var scope = Arena.Current.Scope();
            using var precise = Autocast.Enter(precision);
            using var tape = Tape.Record();
            var x = Tensor.From(Values(Rows * Width, 1), [Rows, Width]).WithGradient();
            // Vectors alike but for their length: what all classes but the target add up to counts.
            var weight = Tensor.From([.. Values(Classes * Width, 2).Select(value => 1 + (0.1f * value))], [Classes, Width]).WithGradient();
            var targets = Tensor.From(Samples.Below(Classes, Rows, 3), [Rows]);
            tape.Backward(Op.LinearCrossEntropy(x, weight, targets), 1024);
            return [.. x.Gradient, .. weight.Gradient];
        }

        static float[] Values(int count, int seed) => [.. OperationCheck.Random([count], seed, 0.3).Values.Select(value => (float)value)];
    }
}
