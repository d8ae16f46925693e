using Tessera.Models.Conversion;
using Tessera.Nn;
using Tessera.Nn.Lora;

namespace Tessera.Models;

/// <summary>
/// Loading and saving of a <see cref="ModelFolder"/>: <c>ModelFolder.Load("runs/mine")</c>, <c>model.Save("mine")</c>. They stand beside
/// it, since they know every format, and the formats know the model alone.
/// </summary>
public static class ModelFolders
{
    extension(ModelFolder model)
    {
        /// <summary>Loads a model, or adapters as PEFT saves them with the model they were trained on; of its weights the
        /// header is read, the rest when it is touched, or first of all where there is a hash to check.</summary>
        /// <param name="folder">The folder, or a GGUF file.</param>
        /// <param name="asStored">Whether weights stay in the type they are stored in, for models that are only run; else they become
        /// F32.</param>
        /// <param name="check">Whether weights that have a <see cref="ModelConfig.WeightsHash"/> are read whole, to see that they are those
        /// that were written; without it opening costs the header of any model.</param>
        /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
        /// <exception cref="FileNotFoundException">The folder holds no finished model.</exception>
        /// <exception cref="InvalidDataException">A file is damaged or they do not belong together.</exception>
        public static ModelFolder Load(string folder, bool asStored = false, bool check = true) =>
            ModelLoader.Load(folder, asStored, check);

        /// <summary>Writes the model with the weights it has now, as F32, to another folder, beside what describes it and copies of the
        /// files about its texts. Adapters are not written (<see cref="LoraAdapters.Merge"/>).</summary>
        /// <param name="folder">The folder; made where it is missing. It appears, or takes the place of the model that is there, when it is
        /// whole.</param>
        /// <exception cref="InvalidDataException">The model did not come from a folder.</exception>
        /// <exception cref="RecipeException">The model was given parts that its family cannot say.</exception>
        /// <exception cref="IOException">The folder is the model's own, or a file cannot be written.</exception>
        public void Save(string folder) => ModelConversion.Save(model, folder);
    }
}
