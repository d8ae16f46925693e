using System.Text.Json;
using Tessera.Nn;
using Tessera.Tensors;
using Tessera.Training.Checkpoints;

namespace Tessera.Training.Tests.Checkpoints;

/// <summary>A new, empty folder that is gone after the test, and what is saved in it.</summary>
internal sealed class CheckpointFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("tessera-").FullName;

    public string Store => System.IO.Path.Combine(Path, "store");

    /// <summary>What is in the store, temporary folders included.</summary>
    public IEnumerable<string> Names => Directory.GetFileSystemEntries(Store).Select(path => System.IO.Path.GetFileName(path)).Order();

    /// <summary>Saves a checkpoint of five files in which everything tells the step.</summary>
    public static Checkpoint Save(CheckpointStore store, int step, double? score = null, int value = 0) => store.Save(step, writer =>
    {
        writer.Model(new TwoParts(value: value == 0 ? step : value));
        writer.State(new TrainingState(step, "base"));
        writer.Write("recipe.json", stream => stream.Write("{}"u8));
    }, score);

    /// <summary>That every file of the checkpoint is of its step.</summary>
    public static void AssertIsOf(int step, Checkpoint? checkpoint, int value = 0)
    {
        Assert.NotNull(checkpoint);
        Assert.Equal(step, checkpoint.Step);
        Assert.Equal(new TrainingState(step, "base"), checkpoint.State<TrainingState>());
        Assert.Equal(step, checkpoint.State<JsonElement>().GetProperty("position").GetInt32());
        var model = new TwoParts(value: -1);
        checkpoint.Restore(model);
        Assert.All(model.Parameters(), own =>
            Assert.All(own.Parameter.Value.ToArray(), found => Assert.Equal(value == 0 ? step : value, found))
        );
        Assert.Equal("{}", File.ReadAllText(checkpoint.File("recipe.json")));
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);

    public sealed record TrainingState(int Position, string Phase);

    /// <summary>A model of two parts whose weights are all the same.</summary>
    public sealed class TwoParts : Module
    {
        public TwoParts(float value, int rows = 3, string name = "weight")
        {
            var tensor = Tensor.AllocateParameter([rows, 4]);
            tensor.Floats.Fill(value);
            Own(name, new Parameter(tensor, decays: true));
            Own("norm", new Scale(value));
        }
    }

    private sealed class Scale : Module
    {
        public Scale(float value) => Own("weight", PartBuilder.Constant(4, value));
    }
}
