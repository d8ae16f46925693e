using System.Diagnostics;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using Tessera.Models;
using Tessera.Models.Recipes;
using Tessera.Nn;
using Tessera.Tensors;
using Tessera.Training.Optimizers;

namespace Tessera.Benchmarks;

/// <summary>
/// Whole optimizer steps of the models of <c>torch_train.py</c>, built of the parts of recipes: forward, loss, backward,
/// clipping to 1, AdamW; 16 rows of 256 tokens of a vocabulary of 8,192.
/// </summary>
internal sealed class TrainingStep
{
    private const int Vocabulary = 8192, Rows = 16, Length = 256, WarmUpSteps = 4;

    private readonly SequenceModel _model;
    private readonly Precision _precision;
    private readonly IReadOnlyList<(string Name, Parameter Parameter)> _parameters;
    private readonly Optimizer _optimizer;
    private readonly Tensor _inputs = Tensor.Allocate([Rows, Length], ElementType.I32);
    private readonly Tensor _targets = Tensor.Allocate([Rows, Length], ElementType.I32);
    private readonly Tensor _positions = Tensor.Allocate([Rows, Length], ElementType.I32);
    private int _step;

    public TrainingStep(string model, Precision precision)
    {
        (_model, _precision) = (Build(model), precision);
        _parameters = _model.Parameters();
        _optimizer = new AdamWOptions(Beta2: 0.999, WeightDecay: 0.01).Build(_parameters); // torch.optim.AdamW's
        var random = new CounterRandom(7);
        for (var row = 0; row < Rows; row++)
        {
            for (var place = 0; place < Length; place++)
            {
                var i = (row * Length) + place;
                _inputs.Ints[i] = random.Below(Vocabulary, (ulong)(i + row));
                _targets.Ints[i] = random.Below(Vocabulary, (ulong)(i + row + 1));
                _positions.Ints[i] = place;
            }
        }
    }

    /// <summary>The models of <c>torch_train.py</c> by their names there.</summary>
    public static SequenceModel Build(string model) => RecipeJson.Read<ModelOptions>((JsonObject)JsonNode.Parse(model switch
    {
        "decoder" => """
            { "kind": "decoder", "width": 320,
              "decoder": { "layers": 8, "attention": { "kind": "multi-head", "heads": 5, "position": { "kind": "rotary" } },
                           "feedForward": { "kind": "swiglu", "hidden": 744 } } }
            """,
        "hybrid" => """
            { "kind": "encoder-decoder", "width": 256, "sourceWidth": 64,
              "encoder": { "kind": "lstm", "layers": 2, "hidden": 128, "bidirectional": true, "residual": true },
              "decoder": { "layers": 4, "attention": { "kind": "multi-head", "heads": 4, "position": { "kind": "rotary" } },
                           "feedForward": { "kind": "experts", "shared": 2, "routed": 4, "active": 2,
                                            "router": { "kind": "softmax", "normalise": false },
                                            "expert": { "kind": "swiglu", "hidden": 368 } } } }
            """,
        _ => throw new ArgumentException($"'{model}' is no model of this benchmark; allowed: decoder, hybrid"),
    })!).Build(Vocabulary, seed: 1);

    /// <summary>
    /// Measures, and prints one line of JSON. Where the bytes of all steps together are 98,352, that is one array of the
    /// runtime: its cache of casts, which grows to its largest size once a process, as methods are compiled anew.
    /// </summary>
    /// <param name="model">decoder or hybrid.</param>
    /// <param name="precision">f32 or bf16.</param>
    /// <param name="steps">How many steps are measured.</param>
    public static void Run(string model, string precision, int steps)
    {
        var training = new TrainingStep(model, precision switch
        {
            "f32" => Precision.F32,
            "bf16" => Precision.BF16,
            _ => throw new ArgumentException($"'{precision}' is no precision of this benchmark; allowed: f32, bf16"),
        });
        for (var step = 0; step < WarmUpSteps; step++) training.Next();
        var (times, losses) = (new double[steps], new double[steps]);
        var (start, bytes) = (Stopwatch.StartNew(), GC.GetTotalAllocatedBytes(precise: true));
        for (var step = 0; step < steps; step++)
        {
            start.Restart();
            losses[step] = training.Next();
            times[step] = start.Elapsed.TotalMilliseconds;
        }

        bytes = GC.GetTotalAllocatedBytes(precise: true) - bytes;
        Array.Sort(times);
        Console.WriteLine(JsonSerializer.Serialize(new
        {
            model, precision, @params = training._model.ParameterCount(), step_ms = Math.Round(times[steps / 2], 1),
            loss = losses[^1], managed_bytes_a_step = (double)bytes / steps, weights = training.Hash(),
        }));
    }

    /// <summary>Multiplications and additions of one step's products: six for each weight that a token meets (embeddings are looked up, two
    /// of four experts chosen), and attention's, three times those of its causal half forward.</summary>
    public static double Operations(string model)
    {
        const double Tokens = Rows * Length, HeadWidth = 64;
        var (weights, pairsOfHeads) = model == "decoder"
            ? (Build(model).ParameterCount() - (320L * Vocabulary), 8 * 5 * 0.5)
            : (Build(model).ParameterCount() - (320L * Vocabulary) - (4 * 2 * 3 * 256 * 368), 4 * 4 * 1.5); // its cross-attention is whole
        return (6 * weights * Tokens) + (12 * pairsOfHeads * Tokens * Length * HeadWidth);
    }

    /// <summary>One optimizer step; returns the loss.</summary>
    public float Next()
    {
        for (var index = 0; index < _parameters.Count; index++) _parameters[index].Parameter.Value.ClearGradient();
        var loss = AddGradient();
        _optimizer.Step(3e-4, GradientClip.Measure(_parameters, 1).Scale);
        _step++;
        return loss;
    }

    private float AddGradient()
    {
        using var scope = Arena.Current.Scope();
        using var precision = Autocast.Enter(_precision);
        using var tape = Tape.Record();
        var batch = Batch.Of(_inputs, _targets, _positions);
        (batch.Source, batch.TargetTokens, batch.Tokens) = (_model.ReadsSource ? _inputs : null, Rows * Length, Rows * Length);
        var step = batch.Context();
        (step.IsTraining, step.Random) = (true, new CounterRandom(11).Derive((ulong)_step));
        var loss = _model.Loss(batch, step);
        var value = loss.Item();
        tape.Backward(loss);
        return value;
    }

    private string Hash()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var (_, parameter) in _parameters) hash.AppendData(parameter.Value.Bytes);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
