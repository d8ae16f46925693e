using Tessera.Nn.Heads;
using Tessera.Nn.Norms;
using Tessera.Tensors;

namespace Tessera.Nn.Tests.Heads;

/// <summary>Each head against its equations in double precision: logits, loss, and the gradients of both.</summary>
public sealed class HeadTests
{
    private const int Rows = 3, Length = 5, Width = 6, Vocabulary = 11;
    private const double Tolerance = 2e-5;

    private static readonly int[] s_lengths = [5, 2, 3];
    private static readonly Shape s_hidden = [Rows, Length, Width];

    [Theory]
    [InlineData(false, false, 1, 0)]
    [InlineData(true, false, 0.5f, 0)]
    [InlineData(false, true, 2, 3)]
    [InlineData(true, true, 1, 0)]
    public void Tokens_are_scored_by_a_map_that_may_be_tied_scaled_capped_and_follow_a_transform(
        bool tied, bool transformed, float scale, float cap)
    {
        var options = new TokensHeadOptions
        {
            Bias = transformed, Transform = transformed ? new() { Activation = Activation.Silu, Norm = new LayerNormOptions(1e-3f) } : null,
        };
        var site = Site() with { IsTied = tied, LogitScale = scale, LogitSoftCap = cap };
        var head = PartCheck.Shaken(options.Build(PartCheck.Builder(Width), site));
        int[] targets = [.. Enumerable.Range(0, Rows * Length).Select(i => i % 4 == 1 ? -1 : i * 7 % Vocabulary)];
        Check(head, Logits, exact => [CrossEntropy(Logits(exact), Vocabulary, targets)], PartCheck.Ints([Rows, Length], targets));

        double[] Logits(Dictionary<string, double[]> exact)
        {
            var hidden = exact["hidden"];
            if (transformed)
            {
                hidden = ExactMath.Linear(hidden, exact["lm_head.dense.weight"], exact["lm_head.dense.bias"], Width);
                hidden = [.. hidden.Select(ExactMath.Silu)];
                hidden = ExactMath.LayerNorm(hidden, exact["lm_head.norm.weight"], exact["lm_head.norm.bias"], 1e-3);
            }

            hidden = [.. hidden.Select(value => value * scale)];
            var logits = ExactMath.Linear(hidden, exact["lm_head.weight"], exact.GetValueOrDefault("lm_head.bias"), Width);
            return cap == 0 ? logits : [.. logits.Select(logit => cap * Math.Tanh(logit / cap))];
        }
    }

    [Theory]
    [InlineData(Pooling.First, false)]
    [InlineData(Pooling.Mean, true)]
    [InlineData(Pooling.Last, false)]
    public void Classes_are_scored_from_the_first_the_last_or_the_mean_of_the_places_that_are_no_padding(Pooling pooling, bool dense)
    {
        var options = new ClassesHeadOptions { Labels = ["a", "b", "c", "d"], Pooling = pooling, Dense = dense };
        var head = PartCheck.Shaken(options.Build(PartCheck.Builder(Width), Site()));
        Assert.Equal(["a", "b", "c", "d"], head.Labels);
        int[] targets = [3, -1, 0];
        Check(head, Logits, exact => [CrossEntropy(Logits(exact), 4, targets)], PartCheck.Ints([Rows], targets));

        double[] Logits(Dictionary<string, double[]> exact)
        {
            var pooled = Pool(exact["hidden"], pooling);
            if (dense) pooled = ExactMath.Linear(pooled, exact["classifier.dense.weight"], exact["classifier.dense.bias"], Width);
            if (dense) pooled = [.. pooled.Select(Math.Tanh)];
            return ExactMath.Linear(pooled, exact["classifier.out_proj.weight"], exact["classifier.out_proj.bias"], Width);
        }
    }

    [Fact]
    public void Tags_are_scored_for_each_token()
    {
        var head = PartCheck.Shaken(new TagsHeadOptions { Labels = ["O", "PER", "LOC"] }.Build(PartCheck.Builder(Width), Site()));
        int[] targets = [0, 1, 2, -1, 2, 1, -1, -1, -1, -1, 2, 2, 0, -1, -1];
        Check(head, Logits, exact => [CrossEntropy(Logits(exact), 3, targets)], PartCheck.Ints([Rows, Length], targets));

        static double[] Logits(Dictionary<string, double[]> exact) =>
            ExactMath.Linear(exact["hidden"], exact["tagger.weight"], exact["tagger.bias"], Width);
    }

    [Fact]
    public void Spans_are_scored_by_the_start_and_the_end_among_the_places_that_are_no_padding()
    {
        var head = PartCheck.Shaken(new SpansHeadOptions().Build(PartCheck.Builder(Width), Site()));
        int[] starts = [1, 0, -1], ends = [4, 1, 2];
        Check(
            head, Logits, exact => [(Side(Logits(exact), 0, starts) + Side(Logits(exact), 1, ends)) / 2],
            PartCheck.Ints([2, Rows], [.. starts, .. ends]));

        static double[] Logits(Dictionary<string, double[]> exact) =>
            ExactMath.Linear(exact["hidden"], exact["spans.weight"], exact["spans.bias"], Width);

        static double Side(double[] logits, int side, int[] targets)
        {
            var rows = Enumerable.Range(0, Rows).Where(row => targets[row] >= 0);
            return rows.Average(row =>
            {
                var scores = Enumerable.Range(0, s_lengths[row]).Select(place => logits[(((row * Length) + place) * 2) + side]).ToArray();
                return -Math.Log(ExactMath.Softmax(scores)[targets[row]]);
            });
        }
    }

    [Theory]
    [InlineData(null)]
    [InlineData(Pooling.Last)]
    [InlineData(Pooling.Mean)]
    public void Values_are_numbers_of_sequences_or_of_tokens(Pooling? pooling)
    {
        var options = new ValueHeadOptions { PerToken = pooling is null, Pooling = pooling };
        var head = PartCheck.Shaken(options.Build(PartCheck.Builder(Width), Site()));
        var targets = PartCheck.Normal(pooling is null ? Rows * Length : Rows, 3);
        targets[1] = float.NaN;
        Check(head, Values, exact => [Error(Values(exact))], Tensor.From(targets, pooling is null ? [Rows, Length] : [Rows]));

        double[] Values(Dictionary<string, double[]> exact) =>
            ExactMath.Linear(
                pooling is { } how ? Pool(exact["hidden"], how) : exact["hidden"], exact["value.weight"], exact["value.bias"], Width);

        double Error(double[] values) => values.Zip(targets).Where(both => !float.IsNaN(both.Second))
            .Average(both => Math.Pow(both.First - both.Second, 2));
    }

    [Fact]
    public void A_causal_model_is_pooled_at_its_last_place_and_another_at_its_first()
    {
        using var scope = Arena.Current.Scope();
        var hidden = Tensor.From(PartCheck.Normal(Rows * Length * Width, 1), s_hidden);
        foreach (var (isCausal, same, other) in new[] { (true, Pooling.Last, Pooling.First), (false, Pooling.First, Pooling.Last) })
        {
            Assert.Equal(Logits(new ClassesHeadOptions { Pooling = same }), Logits(new ClassesHeadOptions()));
            Assert.NotEqual(Logits(new ClassesHeadOptions { Pooling = other }), Logits(new ClassesHeadOptions()));
            Assert.Equal(Logits(new ValueHeadOptions { Pooling = same }), Logits(new ValueHeadOptions()));

            float[] Logits(HeadOptions options) =>
                options.Build(PartCheck.Builder(Width), Site() with { IsCausal = isCausal }).Logits(hidden, Context()).ToArray();
        }
    }

    [Fact]
    public void Where_no_target_counts_the_loss_is_nothing()
    {
        using var scope = Arena.Current.Scope();
        var hidden = Tensor.From(PartCheck.Normal(Rows * Length * Width, 1), s_hidden);
        var classes = new ClassesHeadOptions().Build(PartCheck.Builder(Width), Site());
        Assert.Equal(0, classes.Loss(hidden, PartCheck.Ints([Rows], -1, -1, -1), Context()).Item());
        var nothing = Tensor.From(new[] { float.NaN, float.NaN, float.NaN }, [Rows]);
        Assert.Equal(0, new ValueHeadOptions().Build(PartCheck.Builder(Width), Site()).Loss(hidden, nothing, Context()).Item());
    }

    [Theory]
    [InlineData("model.head.labels: is a list of 1; allowed: 2 to 1048576 labels", "one")]
    [InlineData("model.head.labels: is a list that has 'one' twice; allowed: each label once", "one", "two", "one")]
    [InlineData("model.head.labels: is a list with an empty label; allowed: labels that are not empty", "one", " ")]
    public void Labels_that_cannot_be_told_apart_are_refused(string message, params string[] labels)
    {
        HeadOptions[] heads = [new ClassesHeadOptions { Labels = labels }, new TagsHeadOptions { Labels = labels }];
        Assert.All(heads, head => Assert.Equal(
            message, Assert.Throws<RecipeException>(() => head.Build(PartCheck.Builder(Width), Site())).Message));
    }

    [Fact]
    public void What_a_head_cannot_do_is_said_in_one_line()
    {
        Assert.Equal(
            "model.head.pooling: is Mean; allowed: nothing, where perToken is true",
            Assert.Throws<RecipeException>(
                () => new ValueHeadOptions { PerToken = true, Pooling = Pooling.Mean }.Build(PartCheck.Builder(Width), Site())).Message);
        Assert.Equal(
            "model.tieEmbeddings: is true; allowed: only where hidden states are as wide as embeddings, 6, not 8, or "
            + "head.transform maps them",
            Assert.Throws<RecipeException>(
                () => new TokensHeadOptions().Build(PartCheck.Builder(8), Site() with { IsTied = true })).Message);
        using var scope = Arena.Current.Scope();
        var packed = Context();
        packed.Segments = PartCheck.Positions(Rows, Length);
        var head = new ClassesHeadOptions().Build(PartCheck.Builder(Width), Site());
        Assert.StartsWith(
            "packed rows hold several sequences",
            Assert.Throws<ArgumentException>(() => head.Logits(Tensor.From(new float[90], s_hidden), packed)).Message,
            StringComparison.Ordinal);
    }

    private static void Check(
        Head head, Func<Dictionary<string, double[]>, double[]> logits, Func<Dictionary<string, double[]>, double[]> loss, Tensor targets)
    {
        PartCheck.Run(head, inputs => head.Logits(inputs["hidden"], Context()), logits, Tolerance, null, ("hidden", s_hidden));
        foreach (var (_, parameter) in head.Parameters()) parameter.Value.ClearGradient();
        PartCheck.Run(head, inputs => head.Loss(inputs["hidden"], targets, Context()), loss, Tolerance, null, ("hidden", s_hidden));
    }

    private static ForwardContext Context()
    {
        var context = PartCheck.Step(Rows, Length);
        context.Lengths = PartCheck.Ints([Rows], s_lengths);
        return context;
    }

    private static HeadSite Site() => new(Vocabulary, new Embedding(PartCheck.Builder(Width), Vocabulary, Width).Weight, IsCausal: false);

    private static double[] Pool(double[] hidden, Pooling pooling) =>
        [.. Enumerable.Range(0, Rows).SelectMany(row => Enumerable.Range(0, Width).Select(i =>
    {
        var places = Enumerable.Range(0, s_lengths[row]).Select(place => hidden[(((row * Length) + place) * Width) + i]).ToArray();
        return pooling switch { Pooling.First => places[0], Pooling.Last => places[^1], _ => places.Average() };
    }))];

    private static double CrossEntropy(double[] logits, int classes, int[] targets) => Enumerable.Range(0, targets.Length)
        .Where(row => targets[row] >= 0)
        .Average(row => -Math.Log(ExactMath.Softmax(logits[(row * classes)..((row + 1) * classes)])[targets[row]]));
}
