using System.Diagnostics;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Tessera.Benchmarks.TorchSharpPeer;

/// <summary>Optimizer steps of the models of <c>torch_train.py</c>: forward, loss, backward, clipping, AdamW; their median.</summary>
internal static class Training
{
    private const int Rows = 16, Length = 256, WarmUpSteps = 2;

    public static void Run(Options options, Action<object> print)
    {
        var (name, type) = (options.Text("model", "decoder"), options.Text("dtype", "fp32"));
        Numbers.AreBf16 = type == "bf16";
        using nn.Module<Tensor, Tensor> model = name == "hybrid" ? new Hybrid() : new Decoder();
        using var optimizer = optim.AdamW(model.parameters(), 3e-4);
        using var tokens = randint(0, Sizes.Vocabulary, [Rows, Length + 1], ScalarType.Int64);
        var (steps, loss) = (options.Int("steps", 6), 0f);
        var times = new double[steps];
        for (var step = -WarmUpSteps; step < steps; step++)
        {
            var start = Stopwatch.GetTimestamp();
            loss = Step(model, optimizer, tokens);
            if (step >= 0) times[step] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        }

        Array.Sort(times);
        print(new
        {
            model = name, dtype = type, @params = model.parameters().Sum(parameter => parameter.numel()),
            step_ms = Math.Round(times[steps / 2], 1), loss = Math.Round(loss, 3),
        });
    }

    private static float Step(nn.Module<Tensor, Tensor> model, optim.Optimizer optimizer, Tensor tokens)
    {
        using var scope = NewDisposeScope();
        var logits = model.forward(tokens.narrow(1, 0, Length)).to(ScalarType.Float32).reshape(-1, Sizes.Vocabulary);
        var loss = F.cross_entropy(logits, tokens.narrow(1, 1, Length).reshape(-1));
        optimizer.zero_grad();
        loss.backward();
        nn.utils.clip_grad_norm_(model.parameters(), 1);
        optimizer.step();
        return loss.item<float>();
    }
}
