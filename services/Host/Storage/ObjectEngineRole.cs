using System.ComponentModel.DataAnnotations;
using Nephos.Client.Objects;
using Nephos.Hosting;
using Nephos.Hosting.StatusPages;
using Nephos.Node.Objects;

namespace Nephos.Host.Storage;

/// <summary>Puts the object engine of this process behind the object service.</summary>
internal static class ObjectEngineRole
{
    public static void AddObjectDevices(this WebApplicationBuilder builder)
    {
        builder.Services.AddNephosOptions<ObjectDevicesOptions>(ObjectDevicesOptions.Section);
        builder.Services.AddSingleton<IConfigurationMaster, StateConfigurationMaster>();
        builder.Services.AddObjectEngine(provider =>
        {
            var options = provider.GetRequiredService<ObjectDevicesOptions>();
            var directory = options.Directory.Length > 0
                ? options.Directory
                : Path.Combine(provider.GetRequiredService<NephosOptions>().StateDirectory, "objects");
            return ObjectEngineOptions.Under(directory, options.Devices);
        });
        builder.Services.AddSingleton<IStatusFacts, ObjectEngineFacts>();
        builder.Services.AddSingleton<ObjectRingGrpcService>();
    }

    public static void MapObjectDevices(this WebApplication app) => app.MapGrpcService<ObjectRingGrpcService>();
}

/// <summary>Where objects are kept. Configuration section <c>ObjectDevices</c>.</summary>
internal sealed class ObjectDevicesOptions
{
    public const string Section = "ObjectDevices";

    /// <summary>Holds one directory per device; <c>objects</c> in the state directory when empty.</summary>
    public string Directory { get; set; } = "";

    /// <summary>Each is a zone of its own.</summary>
    [Range(3, 64)]
    public int Devices { get; set; } = 4;
}

/// <summary>The health of the engine on the status page.</summary>
internal sealed class ObjectEngineFacts(IObjectEngine engine) : IStatusFacts
{
    public IEnumerable<KeyValuePair<string, string>> Facts
    {
        get
        {
            var status = engine.GetStatus();
            yield return KeyValuePair.Create("objects.at_risk", $"{status.BlobsAtRisk}");
            yield return KeyValuePair.Create("objects.missing", $"{status.BlobsMissing}");
            yield return KeyValuePair.Create("objects.repaired", $"{status.BlobsRepaired}");
            yield return KeyValuePair.Create("objects.to_remove", $"{status.BlobsToRemove}");
            foreach (var device in status.Devices)
            {
                yield return KeyValuePair.Create($"objects.device.{device.Id}", $"{device.State} {device.UsedBytes / (1 << 20)} MiB {device.Reason}".TrimEnd());
            }
        }
    }
}
