using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using Nephos.BlockStorage;
using Nephos.BlockStorage.Backups;
using Nephos.BlockStorage.Devices;
using Nephos.BlockStorage.Images;
using Nephos.Hosting;

namespace Nephos.Services.Tests.BlockStorage;

/// <summary>The block storage service over devices, images and an object store that are dictionaries.</summary>
public sealed class BlockStorageHost() : ServiceHost("/volume/v3/")
{
    internal FakeDevices Devices { get; } = new();

    private protected override IReadOnlyList<Role> Roles =>
    [
        new(
            "volume",
            builder =>
            {
                builder.AddBlockStorage();
                builder.Services.AddSingleton<IBlockDevices>(Devices);
                builder.Services.AddSingleton<IImages>(new FakeImages());
                builder.Services.AddSingleton<IBackupObjects>(new FakeBackupObjects());
            },
            app => app.MapBlockStorage()),
    ];

    /// <param name="path">Below the project of the caller.</param>
    public async Task<(int Status, JsonNode? Body)> CallAsync(string caller, HttpMethod method, string path, string? json = null, string version = "3.62")
    {
        using var request = new HttpRequestMessage(method, $"project-of-{caller}/{path}");
        if (json is not null) request.Content = new StringContent(json, Encoding.UTF8, "application/json");
        request.Headers.Add("X-Auth-Token", caller);
        request.Headers.Add("OpenStack-API-Version", $"volume {version}");
        using var response = await Http.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        return ((int)response.StatusCode, text.Length == 0 ? null : JsonNode.Parse(text));
    }

    /// <summary>Asks until the object has the status; fails when it takes too long.</summary>
    public async Task<JsonNode> WaitAsync(string caller, string path, string name, string status)
    {
        for (var round = 0; round < 600; round++)
        {
            var (_, body) = await CallAsync(caller, HttpMethod.Get, path);
            if ((string?)body?[name]?["status"] == status) return body[name]!;
            await Task.Delay(50);
        }
        throw new TimeoutException($"{path} did not become {status}");
    }
}
