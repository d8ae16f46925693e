using Tessera.Models.Formats.Gguf;
using Tessera.Models.Recipes;
using Tessera.Nn;
using Tessera.Tensors;
using Tessera.Testing;
using Xunit.Abstractions;

namespace Tessera.Models.Tests.Formats.Gguf;

/// <summary>Small models as llama.cpp's converter and quantizer wrote them, with logits of transformers and of llama.cpp.</summary>
public sealed class GgufModelTests(ITestOutputHelper output)
{
    private const string Models = "fixtures/gguf/models";
    private const double Bar = 5e-5;

    // llama.cpp was given the weights in float32, but reads GELU from a table of half precision.
    private const double BarOfTableGelu = 3e-3;

    [SharedFact(Models)]
    public void Files_in_F32_give_the_logits_of_transformers()
    {
        foreach (var folder in Directory.GetDirectories(Fixture.Shared(Models)!).Where(folder => File.Exists(Path.Combine(folder, "f32.gguf"))))
        {
            var expected = new ReferenceTensors(Path.Combine(folder, "expected.safetensors"));
            var difference = Difference(folder, "f32", asStored: true, expected.Floats("logits"));
            output.WriteLine($"{Path.GetFileName(folder)} f32: {difference:E1}");
            Assert.True(difference <= Bar, $"{folder}: {difference}");
        }
    }

    [SharedFact(Models)]
    public void Quantized_files_give_the_logits_that_llama_cpp_gives_for_their_weights_in_F32()
    {
        foreach (var (folder, kind) in Quantized())
        {
            var expected = new ReferenceTensors(Path.Combine(folder, "expected.safetensors"));
            var name = $"{kind}.logits_dequantized";
            var difference = Difference(folder, kind, asStored: false, expected.Floats(name));
            var stored = Difference(folder, kind, asStored: true, expected.Floats(name));
            output.WriteLine($"{Path.GetFileName(folder)} {kind}: {difference:E1}, as stored {stored:E1}");
            Assert.True(difference <= (folder.EndsWith("gpt2", StringComparison.Ordinal) ? BarOfTableGelu : Bar), $"{folder} {kind}: {difference}");
        }
    }

    [SharedFact(Models)]
    public void A_file_and_the_folder_it_was_converted_from_make_the_same_model()
    {
        foreach (var folder in Directory.GetDirectories(Fixture.Shared(Models)!))
        {
            if (!Directory.Exists(Path.Combine(folder, "hf"))) continue; // too large to travel with the tests
            var theirs = CanonicalOptions.Of((DecoderOptions)ModelFolder.Load(Path.Combine(folder, "hf")).Config.Model);
            foreach (var path in Directory.GetFiles(folder, "*.gguf").Where(path => !path.Contains("q5_k", StringComparison.Ordinal)))
            {
                using var file = GgufFile.Open(path);
                var (options, vocabulary) = GgufArchitectures.Of(file).Read(file);
                var ours = CanonicalOptions.Of(options);
                Assert.Equal(320, vocabulary);
                var difference = RecipeJson.FirstDifference(theirs, ours);
                Assert.True(difference is null, $"{path}: {difference}");
            }
        }
    }

    private static IEnumerable<(string Folder, string Kind)> Quantized() =>
        from folder in Directory.GetDirectories(Fixture.Shared(Models)!)
        from path in Directory.GetFiles(folder, "q*.gguf")
        where !path.Contains("q5_k", StringComparison.Ordinal)
        orderby path
        select (folder, Path.GetFileNameWithoutExtension(path));

    private static double Difference(string folder, string kind, bool asStored, float[] expected)
    {
        var ids = new ReferenceTensors(Path.Combine(folder, "expected.safetensors")).Ints("ids");
        var logits = LogitsOf(ModelFolder.Load(Path.Combine(folder, $"{kind}.gguf"), asStored).Model, ids);
        return expected.Zip(logits).Max(pair => Math.Abs((double)pair.First - pair.Second));
    }

    private static float[] LogitsOf(SequenceModel model, int[] ids)
    {
        using var scope = Arena.Current.Scope();
        var inputs = Tensor.From(ids, [1, ids.Length]);
        var batch = Batch.Of(inputs, inputs, Batch.PositionsFromStart(1, ids.Length));
        return model.Logits(batch, ForwardContext.At(batch.Positions)).ToArray();
    }
}
