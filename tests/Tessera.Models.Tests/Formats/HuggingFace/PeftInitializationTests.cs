using Tessera.Models.Formats;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Models.Verification;
using Tessera.Testing;

namespace Tessera.Models.Tests.Formats.HuggingFace;

public sealed class PeftInitializationTests : IDisposable
{
    private const string Query = "base_model.model.model.layers.0.self_attn.q_proj";

    private readonly TemporaryFolder _folder = new();

    public PeftInitializationTests()
    {
        foreach (var file in Directory.GetFiles(Fixture.Local("peft"), "*", SearchOption.AllDirectories))
        {
            var copy = _folder.File(Path.GetRelativePath(Fixture.Local("peft"), file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }
    }

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("pissa")]
    [InlineData("pissa-niter")]
    [InlineData("olora")]
    public void An_untrained_adapter_gives_the_outputs_of_its_base(string name)
    {
        File.Copy(_folder.File("base/expected.safetensors"), _folder.File($"{name}/expected.safetensors"));
        var result = ModelVerification.Run(_folder.File(name));
        Assert.True(result.Passes(5e-5, 1e-4), result.ToString());
    }

    [Theory]
    [InlineData("pissa")]
    [InlineData("olora")]
    public void What_training_adds_to_the_beginning_is_added_to_the_base(string name)
    {
        // B doubled: W − s B₀A₀ + s 2B₀A₀ = W + s B₀A₀, with PEFT's own B₀ and A₀.
        var weights = _folder.File($"{name}/{PeftAdapter.WeightsFile}");
        float[] up, down;
        using (var file = SafetensorsFile.Open(weights))
        {
            (up, down) = (Floats(file, $"{Query}.lora_B.weight"), Floats(file, $"{Query}.lora_A.weight"));
            var writer = new SafetensorsWriter();
            foreach (var tensor in file.Tensors.Values)
            {
                var values = Floats(file, tensor.Name);
                if (tensor.Name.Contains("lora_B", StringComparison.Ordinal)) values = [.. values.Select(value => 2 * value)];
                writer.Add(tensor.Name, Tensors.Tensor.From(values, new Tensors.Shape([.. tensor.Shape.Select(size => (int)size)])));
            }

            writer.Save(weights + ".new");
        }

        File.Move(weights + ".new", weights, overwrite: true);
        var adapted = ModelFolder.Load(_folder.File(name));
        adapted.Adapters!.Merge();
        using var original = SafetensorsFile.Open(_folder.File("base/model.safetensors"));
        var (wanted, found) = (Floats(original, "model.layers.0.self_attn.q_proj.weight"), Query0(adapted));
        const double Scale = 10.0 / 4;
        for (var row = 0; row < 48; row++)
        {
            for (var column = 0; column < 48; column++)
            {
                var added = Enumerable.Range(0, 4).Sum(rank => (double)up[(row * 4) + rank] * down[(rank * 48) + column]);
                Assert.Equal(wanted[(row * 48) + column] + (Scale * added), found[(row * 48) + column], 1e-5);
            }
        }
    }

    [Theory]
    [InlineData("corda", "'corda'; allowed: true, false, gaussian, eva, orthogonal, pissa, pissa_niter_N, olora; corda changes the base model")]
    [InlineData("loftq", "'loftq'; allowed: true, false, gaussian, eva, orthogonal, pissa, pissa_niter_N, olora; loftq changes the base model")]
    public void An_initialization_that_needs_more_than_the_base_is_refused(string name, string message) =>
        Assert.Contains("init_lora_weights is " + message, Refusal(name), StringComparison.Ordinal);

    [Theory]
    [InlineData("\"init_lora_weights\": \"pissa_2\"", "init_lora_weights is 'pissa_2'; allowed: ")]
    [InlineData("\"init_lora_weights\": 3", "init_lora_weights is 3; allowed: true or false")]
    [InlineData("\"use_future\": true", "use_future is true; allowed: null or false")]
    [InlineData("\"kasa_config\": {\"beta\": 1}", "kasa_config is {\"beta\": 1}; allowed: null or false")]
    [InlineData("\"use_dora\": true", "use_dora is true; allowed: null or false")]
    [InlineData("\"modules_to_save\": [\"lm_head\"]", "modules_to_save is [\"lm_head\"]; allowed: null or false")]
    public void What_is_not_known_is_refused(string setting, string message)
    {
        Set("pissa", setting);
        Assert.Contains(message, Refusal("pissa"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"use_future\": null, \"other_future\": [], \"more\": {}, \"modules_to_save\": [], \"layer_replication\": [], \"target_parameters\": []")]
    [InlineData("\"init_lora_weights\": \"gaussian\"")]
    [InlineData("\"init_lora_weights\": false")]
    [InlineData("\"init_lora_weights\": \"PiSSA\"")]
    public void What_says_nothing_or_leaves_the_base_as_it_is_is_read(string settings)
    {
        Set("pissa", settings);
        Assert.NotNull(ModelFolder.Load(_folder.File("pissa")).Adapters);
    }

    [Fact]
    public void An_adapter_saved_as_a_pickle_says_how_to_come_by_safetensors()
    {
        File.Move(_folder.File("pissa/adapter_model.safetensors"), _folder.File("pissa/adapter_model.bin"));
        var error = Assert.Throws<FileNotFoundException>(() => ModelFolder.Load(_folder.File("pissa")));
        Assert.Contains("adapter_model.bin is of another format", error.Message, StringComparison.Ordinal);
    }

    private string Refusal(string name) => Assert.Throws<InvalidDataException>(() => ModelFolder.Load(_folder.File(name))).Message;

    private void Set(string name, string settings)
    {
        var path = _folder.File($"{name}/{PeftAdapter.ConfigFile}");
        var json = System.Text.Json.Nodes.JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        foreach (var (key, value) in System.Text.Json.Nodes.JsonNode.Parse("{" + settings + "}")!.AsObject()) json[key] = value?.DeepClone();
        File.WriteAllText(path, json.ToJsonString(new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping })
            .Replace("{\"beta\":1}", "{\"beta\": 1}", StringComparison.Ordinal));
    }

    private static float[] Query0(ModelFolder folder) =>
        folder.Model.Parameters().First(own => own.Name.Contains("layers.0.attention.q_proj", StringComparison.Ordinal)).Parameter.Value.ToArray();

    private static float[] Floats(TensorSource source, string name)
    {
        var values = new float[source[name].Count];
        source.ReadFloats(name, values);
        return values;
    }
}
