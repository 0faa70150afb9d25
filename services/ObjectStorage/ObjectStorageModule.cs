using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Nephos.ObjectStorage.Buckets;
using Nephos.ObjectStorage.Objects;

namespace Nephos.ObjectStorage;

/// <summary>Buckets and objects: gRPC, Swift and S3 over one namespace.</summary>
public static class ObjectStorageModule
{
    public static void AddObjectStorage(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<BucketsGrpcService>();
        builder.Services.AddSingleton<ObjectsGrpcService>();
    }

    public static void MapObjectStorage(this WebApplication app)
    {
        app.MapGrpcService<BucketsGrpcService>();
        app.MapGrpcService<ObjectsGrpcService>();
    }
}
