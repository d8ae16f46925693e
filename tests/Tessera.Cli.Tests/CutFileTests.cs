using System.Diagnostics;
using System.Runtime.InteropServices;
using Tessera.Models;
using Tessera.Models.Conversion;
using Tessera.Models.Formats;
using Tessera.Models.Recipes;
using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Positions;
using Tessera.Text.Tokenizers;

namespace Tessera.Cli.Tests;

/// <summary>A model's file that another program cuts short, in place, while it is mapped.</summary>
public sealed class CutFileTests : IDisposable
{
    private const int Positions = 8192;

    private readonly string _folder = Directory.CreateTempSubdirectory("tessera-cut").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [LinuxFact]
    public void It_ends_generation_with_an_error_and_not_the_process_with_a_signal()
    {
        WriteModel();
        using var process = TesseraProcess.Start(
            _folder, ["generate", "model.gguf", "the dog", "--min-tokens", "8000", "--max-tokens", "8000"], ("TESSERA_KERNELS", "scalar"));
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        process.StandardInput.Close();
        var isMapped = SpinWait.SpinUntil(() => process.HasExited || IsMapped(process), TimeSpan.FromMinutes(2));
        Assert.True(isMapped && !process.HasExited, error.IsCompleted ? error.Result : "never mapped");
        Thread.Sleep(TimeSpan.FromSeconds(1));
        using (var file = new FileStream(Path.Combine(_folder, "model.gguf"), FileMode.Open, FileAccess.Write, FileShare.ReadWrite)) file.SetLength(file.Length / 4);
        process.WaitForExit();
        Assert.Equal("tessera: model.gguf: was cut short while it was in use; nothing can be computed with it any more\n", error.Result);
        Assert.Equal(CommandRunner.BadInput, process.ExitCode);
        _ = output.Result;
    }

    private static bool IsMapped(Process process)
    {
        try
        {
            return File.ReadAllText($"/proc/{process.Id}/maps").Contains("/model.gguf", StringComparison.Ordinal);
        }
        catch (IOException)
        {
            return false; // it has ended
        }
    }

    /// <summary>Some million weights, so that each token takes a while.</summary>
    private void WriteModel()
    {
        var options = new DecoderOptions
        {
            Width = 256,
            Decoder = new TransformerOptions
            {
                Layers = 6, FeedForward = new SwiGluOptions(1024), Attention = new MultiHeadOptions(4) { Position = new RotaryOptions(Positions: Positions) },
            },
        };
        var tokenizer = BytePairTrainer.Train(["the quick brown fox jumps over the lazy dog"], new BytePairTrainerOptions(270));
        var own = Path.Combine(_folder, "own");
        Directory.CreateDirectory(own);
        Weights.Save(Path.Combine(own, ModelFolder.WeightsFile), options.Build(tokenizer.VocabularySize, seed: 5));
        tokenizer.Save(own);
        File.WriteAllText(Path.Combine(own, ModelFolder.ConfigFile), RecipeJson.Write(new ModelConfig
        {
            Model = options, Vocabulary = tokenizer.VocabularySize, Length = Positions, SourceLength = 0,
        }));
        ModelConversion.Convert(own, Path.Combine(_folder, "model.gguf"), new ConversionOptions());
    }

    /// <summary>A test of what only Linux on x86-64 does with mapped files; elsewhere they are read or cannot be cut.</summary>
    private sealed class LinuxFactAttribute : FactAttribute
    {
        public LinuxFactAttribute()
        {
            if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64) Skip = "needs Linux on x86-64";
        }
    }
}
