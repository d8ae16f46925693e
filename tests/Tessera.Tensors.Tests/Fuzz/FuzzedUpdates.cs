using Tessera.Tensors.Kernels;

namespace Tessera.Tensors.Tests.Fuzz;

/// <summary>What optimizers do to many tensors at once, and the norm of gradients.</summary>
internal static class FuzzedUpdates
{
    private static readonly UpdateFactors s_factors = new(LearningRate: 0.1, Decay: 0.01, FirstCorrection: 0.271, SecondCorrection: 0.3);

    public static FuzzCase AdamW(Draw draw) => Of(draw, "AdamW", batch => batch.AdamW(0.9, 0.95, 1e-3, 0.7), (w, g, m, v) =>
    {
        g *= 0.7;
        m += 0.1 * (g - m);
        v = (0.95 * v) + (0.05 * g * g);
        w = (0.99 * w) - (0.1 / 0.271 * m / (Math.Sqrt(v / 0.3) + 1e-3));
        return (w, m, v);
    });

    public static FuzzCase Nesterov(Draw draw) => Of(draw, "Nesterov", batch => batch.Nesterov(0.9, 0.7), (w, g, m, v) =>
    {
        g = (0.7 * g) + (0.01 * w);
        m = (0.9 * m) + g;
        return (w - (0.1 / 0.271 * (g + (0.9 * m))), m, v);
    });

    public static FuzzCase GradientNorm(Draw draw)
    {
        var (shape, values) = draw.Normal([draw.Coin ? draw.Size(769) : draw.Between(30_000, 40_000)]);
        return new FuzzCase($"sum of squares and scale of {shape}", _ =>
        {
            var tensor = FuzzCase.Owned((shape, values));
            var expected = values.Sum(value => (double)value * value);
            Assert.Equal(expected, OptimizerKernels.Squares(tensor.Floats), 1e-12 * Math.Max(1, expected));
            SumKernel.Scale(tensor.Floats, 0.3f, tensor.Floats);
            Assert.Equal(values.Select(value => value * 0.3f), tensor.ToArray());
        });
    }

    private static FuzzCase Of(
        Draw draw, string name, Action<UpdateBatch> update, Func<double, double, double, double, (double, double, double)> equation)
    {
        var sizes = Enumerable.Range(0, draw.Between(1, 6)).Select(_ => draw.Size(769)).ToArray();
        float[][][] elements = [.. sizes.Select(size => Enumerable.Range(0, 4).Select(_ => draw.Normal([size]).Values).ToArray())];
        return new FuzzCase($"{name} of {string.Join(", ", sizes)} elements", one =>
        {
            var batch = new UpdateBatch(sizes.Length);
            var tensors = elements.Select(each =>
            {
                var second = each[3].Select(Math.Abs).ToArray();
                Tensor[] made = [.. new[] { each[0], each[2], second }.Select(values => FuzzCase.Owned(([values.Length], values)))];
                made[0].WithGradient().Slot!.Add(each[1]);
                batch.Add(made[0], made[1], made[2], s_factors);
                return made;
            }).ToArray();
            update(batch);
            for (var i = 0; i < sizes.Length; i++)
            {
                var expected = Enumerable.Range(0, sizes[i])
                    .Select(j => equation(elements[i][0][j], elements[i][1][j], elements[i][2][j], Math.Abs(elements[i][3][j]))).ToArray();
                OperationCheck.Compare("weights", [.. expected.Select(step => step.Item1)], tensors[i][0].ToArray(), one.Tolerance);
                OperationCheck.Compare("first", [.. expected.Select(step => step.Item2)], tensors[i][1].ToArray(), one.Tolerance);
                OperationCheck.Compare("second", [.. expected.Select(step => step.Item3)], tensors[i][2].ToArray(), one.Tolerance);
            }
        });
    }
}
